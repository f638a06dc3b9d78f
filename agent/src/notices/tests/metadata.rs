//! What namespaces say of the metadata service.

use crate::pods::annotation::{ALLOW_PATHS, IMDS_TOKENS};

use super::{super::text::TOLD, *};

#[test]
fn what_is_wrong_with_a_namespace_is_told_of_its_pods_beside_their_own_mistakes() {
    let wrong = [(ALLOW_PATHS, "user-data"), (IMDS_TOKENS, "v2")];
    let role = [(ROLE, "no role")];
    let said = said_of(&subject(1, &role, &wrong, &[]));
    let (reason, note) = &said[0];
    assert_eq!(*reason, Reason::InvalidNamespaceAnnotation);
    for text in [
        "An annotation of the namespace shop is wrong: bpf2iam.io/imds-tokens: \"v2\" counts as required",
        "; bpf2iam.io/allow-paths: \"user-data\": ",
    ] {
        assert!(note.contains(text), "{note}");
    }
    assert_eq!(said[1].0, Reason::InvalidAnnotation);
    assert_eq!(said.len(), 2);
}

#[test]
fn what_can_be_meant_is_not_told() {
    let right = [(ALLOW_PATHS, "meta-data/mac"), (IMDS_TOKENS, "required")];
    assert_eq!(said_of(&subject(1, &[], &right, &[])), []);
}

#[test]
fn of_many_mistakes_some_are_told() {
    let paths = "user-data ".repeat(32);
    let said = said_of(&subject(1, &[], &[(ALLOW_PATHS, &paths)], &[]));
    let [(_, note)] = &*said else {
        panic!("{said:?}");
    };
    assert_eq!(note.matches("user-data").count(), TOLD, "{note}");
    assert!(note.contains("; and 29 more. "), "{note}");
    assert!(note.len() < 1024, "as much as an Event takes: {note}");
}

#[test]
fn a_pod_with_the_nodes_identity_does_not_mind() {
    let wrong = subject(1, &[], &[(IMDS_TOKENS, "v2")], &[]);
    let policy = Policy {
        node_role: "shop/cart".parse().into_iter().collect(),
        ..policy()
    };
    assert_eq!(of_pod(&wrong, &policy, &HashMap::new()), []);
}
