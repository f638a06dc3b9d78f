//! What there is to do is said after STS's words.

use crate::creds::{Policies, Tags};

use super::*;

const NOT: &str =
    "User: arn:aws:sts::111122223333:assumed-role/nodes/i-0a1b is not authorized to perform:";

fn tagged() -> Identity {
    Identity {
        tags: Tags::new([("team", "shop")]).unwrap(),
        ..identity()
    }
}

fn narrowed(identity: Identity) -> Identity {
    let role = &identity.role;
    let policies = Policies::new(Some(r#"{"Statement":[]}"#), None, role).unwrap();
    Identity {
        policies,
        ..identity
    }
}

/// What becomes of an error of STS for `identity`.
async fn told(identity: &Identity, status: u16, code: &'static str, words: String) -> String {
    let server = Server::start(move |_| Said::error(status, code, &words)).await;
    let error = sts(&server).fetch(identity).await.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn a_trust_policy_is_to_allow_the_caller_by_name() {
    let words = format!("{NOT} sts:AssumeRole on resource: {}", identity().role);
    let told = told(&identity(), 403, "AccessDenied", words).await;
    for part in [
        "is not authorized to perform: sts:AssumeRole",
        "trust policy must allow sts:AssumeRole to the role nodes of account 111122223333",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("external id"), "{told}");
}

#[tokio::test]
async fn an_external_id_is_thought_of_but_not_repeated() {
    let identity = Identity {
        external_id: Some("hunter2".parse().unwrap()),
        ..identity()
    };
    let told = told(&identity, 403, "AccessDenied", "no.".to_owned()).await;
    assert!(told.contains("no; the role's trust policy"), "{told}");
    assert!(
        told.contains("to the node's role, with the pod's external id"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn tags_that_are_not_allowed_have_two_ways_out() {
    let words = format!("{NOT} sts:TagSession on resource: {}", identity().role);
    for (identity, way) in [
        (tagged(), "leave --session-tags off"),
        (identity(), "keys without transitive session tags"),
    ] {
        let told = told(&identity, 403, "AccessDenied", words.clone()).await;
        for part in [
            "allow sts:TagSession beside sts:AssumeRole in the role's trust policy",
            "a policy of the role nodes of account 111122223333",
            way,
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!told.contains("must allow sts:AssumeRole"), "{told}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_wrong_is_named_by_where_it_is_set() {
    let (policy, tags) = ("bpf2iam.io/session-policy", "--session-tags");
    for (identity, code, parts, others) in [
        (
            narrowed(tagged()),
            "PackedPolicyTooLarge",
            vec![policy, tags],
            vec![],
        ),
        (
            narrowed(identity()),
            "PackedPolicyTooLarge",
            vec![policy],
            vec![tags],
        ),
        (tagged(), "PackedPolicyTooLarge", vec![tags], vec![policy]),
        (
            identity(),
            "PackedPolicyTooLarge",
            vec![],
            vec![policy, tags],
        ),
        (
            narrowed(tagged()),
            "MalformedPolicyDocument",
            vec![policy],
            vec![tags],
        ),
        (
            identity(),
            "MalformedPolicyDocument",
            vec![],
            vec![policy, tags],
        ),
    ] {
        let told = told(&identity, 400, code, "as STS puts it".to_owned()).await;
        for part in parts {
            assert!(told.contains(part), "{code}: {part} in {told}");
        }
        for other in others {
            assert!(!told.contains(other), "{code}: {other} in {told}");
        }
    }
}

#[tokio::test]
async fn a_region_is_to_be_activated_by_the_account_of_the_role() {
    let words = "STS is not activated in this region for account:123456789012.".to_owned();
    let told = told(&identity(), 403, "RegionDisabledException", words).await;
    for part in [
        "activate STS of eu-west-1 for account 123456789012",
        "AWS_REGION",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}
