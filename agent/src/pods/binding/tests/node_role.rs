//! Pods that keep the node's own identity.

use super::*;

/// The same, where these have the node's own identity.
fn naming(entry: &str) -> Policy {
    Policy {
        node_role: entry.parse().into_iter().collect(),
        ..restricted(Some(BASE), Some("fallback"))
    }
}

const NODES: &str = "the node's by node_role";

#[test]
fn it_comes_after_what_the_pod_says_and_before_all_else() {
    let account = |subject: Subject| subject.with_account(&[(ROLE_ARN, OTHER)]);
    let policy = naming("shop/till");
    for (subject, decision) in [
        (pod(&[]), NODES),
        (account(pod(&[])), NODES),
        (pod(&[]).in_namespace(&[(DEFAULT_ROLE, "of-all")]), NODES),
        // Namespaces have no say in it.
        (pod(&[]).in_namespace(&[(PERMITTED, "nothing")]), NODES),
        (
            pod(&[(ROLE, "cart")]).in_namespace(&[(PERMITTED, ".*")]),
            "arn:aws:iam::123456789012:role/cart by annotation",
        ),
        (
            pod(&[(ROLE, "cart")]),
            "forbidden arn:aws:iam::123456789012:role/cart",
        ),
        (pod(&[(ROLE, "")]), "invalid by annotation"),
    ] {
        assert_eq!(decided(&subject, &policy), decision, "{subject:?}");
    }
}

#[test]
fn who_is_not_named_has_it_never() {
    for entry in ["shop/hostNetwork", "shop/cart", "till", "kube-system"] {
        let binding = decided(&pod(&[]), &naming(entry));
        assert_eq!(
            binding, "arn:aws:iam::123456789012:role/fallback by default",
            "{entry}"
        );
    }
    let usual = Policy {
        node_role: NodeRoleFor::usual(),
        ..policy(None, None)
    };
    let mut subject = pod(&[]);
    Arc::make_mut(&mut subject.pod).host_network = true;
    assert_eq!(decided(&subject, &usual), "nothing by None");
    Arc::make_mut(&mut subject.pod).name = PodRef::new("kube-system", "proxy");
    assert_eq!(decided(&subject, &usual), NODES);
}

#[test]
fn nobody_has_to_be_waited_for() {
    let alone = Subject {
        namespace: None,
        service_account: None,
        ..pod(&[])
    };
    assert_eq!(decided(&alone, &naming("shop/till")), NODES);
    assert_eq!(
        decided(&alone, &naming("shop/hostNetwork")),
        "unknown ServiceAccount"
    );
}

#[test]
fn only_containers_without_a_role_of_their_own_have_it() {
    let own = [
        ("container.bpf2iam.io/web", "web"),
        ("container.bpf2iam.io/log", "none"),
    ];
    let ids = [
        ("web", container('a')),
        ("log", container('b')),
        ("cni", container('c')),
    ];
    let subject = pod(&own)
        .in_namespace(&[(PERMITTED, ".*")])
        .with_containers(&ids);
    let policy = naming("shop");
    for (id, decision) in [
        (
            Some(container('a')),
            "arn:aws:iam::123456789012:role/web by container",
        ),
        (Some(container('b')), "nothing by Some(\"container\")"),
        (Some(container('c')), NODES),
        // Nobody can tell for whom it works.
        (None, "nothing by Some(\"container\")"),
        (Some(container('d')), "unknown Container"),
    ] {
        assert_eq!(told(&decide(&subject, id, &policy)), decision, "{id:?}");
    }
    let roles: Vec<_> = identities(&subject, &policy)
        .map(|identity| identity.role.name().to_owned())
        .collect();
    assert_eq!(
        roles,
        ["web"],
        "of the node's role there is nothing to fetch"
    );
}
