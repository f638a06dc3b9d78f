//! The rest of the tree, and what namespaces say of it.

use crate::pods::Namespace;

use super::*;

const REGION: &str = "/latest/meta-data/placement/region";

/// [`ANNOTATED`] in a namespace that says this.
fn in_namespace(annotations: &[(&str, &str)]) -> Subject {
    let annotations = annotations.iter();
    let said = annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Subject {
        namespace: Some(Arc::new(Namespace::new(said))),
        ..Subject::alone(pod(ANNOTATED, "cart", Some(ARN)))
    }
}

#[tokio::test(start_paused = true)]
async fn every_pod_learns_where_it_is() {
    let world = world();
    world.script.say(State::Fetching);
    for uid in [ANNOTATED, PLAIN, WRONG] {
        let got = world.get(uid, REGION).await;
        assert_eq!((got.status, got.body.as_str()), (200, "eu-west-1"));
        assert_eq!(got.after, Duration::ZERO, "it has nothing to do with keys");
        assert_eq!(got.headers["content-type"], "text/plain");
        assert_eq!(got.headers["accept-ranges"], "none");
        assert!(got.headers.contains_key("last-modified"));
    }
    world.counted(r#"imds_requests_total{route="metadata",status="200"} 3"#);
}

#[tokio::test(start_paused = true)]
async fn the_iam_tree_is_listed_where_there_is_a_role() {
    let world = world();
    world.script.say(ready());
    let listed = world.get(ANNOTATED, "/latest/meta-data/").await;
    assert!(
        listed.body.lines().any(|name| name == "iam/"),
        "{}",
        listed.body
    );
    let iam = world.get(ANNOTATED, "/latest/meta-data/iam").await;
    assert_eq!(iam.body, "info\nsecurity-credentials/");
    let listed = world.get(PLAIN, "/latest/meta-data").await;
    assert!(!listed.body.contains("iam"), "{}", listed.body);
    assert_eq!(world.get(PLAIN, "/latest/meta-data/iam/").await.status, 404);
    let versions = world.get(PLAIN, "/").await;
    assert!(versions.body.starts_with("1.0\n") && versions.body.ends_with("\nlatest"));
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_cannot_be_changed() {
    let world = world();
    world.script.say(ready());
    for target in [REGION, LIST, CREDENTIALS, INFO, "/", "/latest/meta-data/"] {
        let got = world
            .send(ANNOTATED, request(Method::POST, target, None))
            .await;
        assert_eq!((got.status, got.body.as_str()), (405, ""), "{target}");
        assert_eq!(got.headers["allow"], "GET, HEAD");
    }
    for target in ["/latest/meta-data/mac", "/latest/user-data"] {
        let got = world
            .send(ANNOTATED, request(Method::POST, target, None))
            .await;
        assert_eq!(got.status, 404, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_may_want_tokens_where_the_operator_does_not_and_the_other_way_round() {
    for (operator, said, status) in [
        (TokenUse::Optional, None, 200),
        (TokenUse::Required, None, 401),
        (TokenUse::Optional, Some("required"), 401),
        (TokenUse::Required, Some("optional"), 200),
        (TokenUse::Optional, Some("sometimes"), 401),
    ] {
        let policy = Policy {
            tokens: operator,
            ..Policy::new("node")
        };
        let world = world_with(policy, None);
        world.script.say(ready());
        let said: Vec<_> = said
            .map(|said| ("bpf2iam.io/imds-tokens", said))
            .into_iter()
            .collect();
        let _changes = world.writer.reset([in_namespace(&said)]);
        for target in [REGION, LIST, CREDENTIALS, "/"] {
            let got = world.get(ANNOTATED, target).await;
            assert_eq!(got.status, status, "{operator:?} {said:?} {target}");
            let token = world.token(ANNOTATED).await;
            assert_eq!(world.get_with(ANNOTATED, target, &token).await.status, 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn as_long_as_the_namespace_is_unknown_only_tokens_count() {
    let world = world();
    world.script.say(ready());
    let subject = Subject {
        namespace: None,
        ..in_namespace(&[])
    };
    let _changes = world.writer.reset([subject]);
    let token = world.token(ANNOTATED).await;
    for (target, status) in [(LIST, 200), (REGION, 200), ("/latest/meta-data/mac", 503)] {
        let got = world.get_with(ANNOTATED, target, &token).await;
        assert_eq!(got.status, status, "{target}");
        assert_eq!(world.get(ANNOTATED, target).await.status, 503, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_allowed_path_is_there_only_if_the_instance_has_it() {
    let path = "/latest/meta-data/mac";
    let world = world();
    assert_eq!(world.get(PLAIN, path).await.status, 404);
    world.counted(r#"imds_refusals_total{reason="path"} 1"#);
    let policy = Policy {
        allow: Allow::parse(["meta-data/mac"]).unwrap(),
        ..Policy::new("node")
    };
    let world = world_with(policy, None);
    assert_eq!(world.get(PLAIN, path).await.status, 404);
    world.counted(r#"imds_refusals_total{reason="missing"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn what_may_still_be_learned_of_the_machine_is_worth_another_try() {
    let mut world = world();
    let place = Place {
        region: Some("eu-west-1".to_owned()),
        ..Place::default()
    };
    world.service.instance = Instance::Made(Made {
        known: watch::channel(Known::Part(place)).1,
        since: start(),
    });
    assert_eq!(world.get(PLAIN, REGION).await.body, "eu-west-1");
    let got = world
        .get(PLAIN, "/latest/meta-data/placement/availability-zone")
        .await;
    assert_eq!((got.status, got.body.as_str()), (503, ""));
    world.counted(r#"imds_refusals_total{reason="upstream"} 1"#);
}
