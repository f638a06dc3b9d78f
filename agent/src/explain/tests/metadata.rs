//! Who has the node's own identity, and what all others see of the metadata service.

use crate::{
    metadata::{Allow, TokenUse},
    pods::annotation::{ALLOW_PATHS, CONTAINER, IMDS_TOKENS},
};

use super::*;

/// The same, where the pod's ServiceAccount has the node's own identity.
fn naming_it() -> Policy {
    Policy {
        node_role: "shop/till".parse().into_iter().collect(),
        ..policy()
    }
}

/// What the page says of the metadata service.
fn said(namespace: &[(&str, &str)], policy: &Policy) -> String {
    let page = page(&explain(&subject(&[], namespace), policy));
    let (_, said) = page.split_once("\nMetadata service\n").unwrap();
    said.to_owned()
}

#[test]
fn the_entry_that_names_a_pod_is_shown_and_nothing_else_of_its_metadata() {
    let explanation = explain(&subject(&[], &[(IMDS_TOKENS, "required")]), &naming_it());
    assert_eq!(
        page(&explanation),
        "\
shop/cart, ServiceAccount till, uid 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0

Containers without a role of their own: the node's own role; requests are passed on
RULE               WHERE                                       SAYS
  annotation       pod, iam.amazonaws.com/role                 -
> node_role        --node-role-for                             the node's own role: shop/till
  service_account  ServiceAccount, eks.amazonaws.com/role-arn  -
  namespace        namespace, bpf2iam.io/default-role          -
  default          --default-role                              arn:aws:iam::123456789012:role/fallback
namespace: restricts nothing (--namespace-restrictions is off)
"
    );
    let json = serde_json::to_value(&explanation).unwrap();
    let step = serde_json::json!({
        "rule": "node_role", "place": "--node-role-for", "finding": "node", "entry": "shop/till",
        "decides": true,
    });
    assert_eq!(json["cases"][0]["steps"][1], step);
    let outcome = serde_json::json!({"outcome": "node", "rule": "node_role"});
    assert_eq!(json["cases"][0]["outcome"], outcome);
    assert!(json["metadata"].is_null());
}

#[test]
fn a_container_with_a_role_of_its_own_is_answered_by_us() {
    let own = format!("{CONTAINER}web");
    let page = page(&explain(&subject(&[(&own, "web")], &[]), &naming_it()));
    for line in [
        "Container web: arn:aws:iam::123456789012:role/web\n",
        "Containers without a role of their own: the node's own role; requests are passed on\n",
        "tokens: optional, by --imds-tokens\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn who_wants_tokens_and_who_allows_paths_is_said() {
    let policy = Policy {
        tokens: TokenUse::Required,
        allow: Allow::parse(["meta-data/mac"]).unwrap(),
        ..policy()
    };
    assert_eq!(
        said(&[], &policy),
        "tokens: required, by --imds-tokens\n\
         more paths: meta-data/mac, by --allow-path\n"
    );
    let namespace = [
        (IMDS_TOKENS, "optional"),
        (ALLOW_PATHS, "meta-data/spot/**"),
    ];
    assert_eq!(
        said(&namespace, &policy),
        "tokens: optional, by namespace, bpf2iam.io/imds-tokens\n\
         more paths: meta-data/mac, by --allow-path\n\
         more paths: meta-data/spot/**, by namespace, bpf2iam.io/allow-paths\n"
    );
}

#[test]
fn what_is_wrong_with_a_namespace_is_said_and_what_is_not_known() {
    let namespace = [(IMDS_TOKENS, "v2"), (ALLOW_PATHS, "user-data")];
    let page = said(&namespace, &policy());
    for line in [
        "tokens: required, by namespace, bpf2iam.io/imds-tokens\n",
        "wrong: bpf2iam.io/imds-tokens: \"v2\" counts as required",
        "wrong: bpf2iam.io/allow-paths: \"user-data\"",
    ] {
        assert!(page.contains(line), "{page}");
    }
    assert!(!page.contains("more paths"), "{page}");
    let unknown = Subject {
        namespace: None,
        ..subject(&[], &[])
    };
    let metadata = explain(&unknown, &policy()).metadata.unwrap();
    assert_eq!(metadata.wrong, ["the pod's namespace is not known yet"]);
}

#[test]
fn what_an_older_agent_said_is_understood() {
    let mut json = serde_json::to_value(explain(&subject(&[], &[]), &policy())).unwrap();
    json.as_object_mut().unwrap().remove("metadata").unwrap();
    let back: Explanation = serde_json::from_value(json).unwrap();
    assert_eq!(back.metadata, None);
}
