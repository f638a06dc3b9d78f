//! Nothing that the agent says has a secret in it. Every world looks for that at its end; this is about how well it
//! looks.

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Effect, Fault, Rule};

use crate::{
    client::ROLES,
    pod::Pod,
    wait::{leap, until},
    world::{NODE_SECRET, Setup},
};

const A: Pod = Pod::new(1);

#[tokio::test]
async fn a_secret_would_be_found_whole_or_in_part_and_in_the_midst_of_a_line() {
    let world = Setup::default().pod(A, "a-role").start().await;
    let keys = world.client(A).keys("a-role").await;
    let half = keys.token.get(keys.token.len() / 2..).unwrap().to_owned();
    for secret in [
        keys.secret_access_key,
        keys.token,
        half,
        NODE_SECRET.to_owned(),
    ] {
        let line = format!("{{\"message\":\"{secret}\"}}");
        assert_eq!(world.leaks(vec![line.clone()]), [line]);
    }
    assert_eq!(world.leaks(vec![keys.access_key_id]), Vec::<String>::new());
}

/// The log has everything down to the finest level of the agent, and what the SDK says at debug.
#[tokio::test]
async fn the_search_is_through_all_that_can_be_said() {
    let world = Setup::default().pod(A, "a-role").start().await;
    world.client(A).keys("a-role").await;
    world.metrics().await;
    world.status().await;
    let said = world.said();
    for part in [
        "\"level\":\"DEBUG\",",
        "\"target\":\"aws_",
        "\"target\":\"access\"",
        "\"target\":\"bpf2iam::",
        "bpf2iam_imds_requests_total{",
        "\"listeners\": [",
    ] {
        assert!(
            said.iter().any(|text| text.contains(part)),
            "{part} in {said:#?}"
        );
    }
}

/// Failures are where secrets get out: the request that failed is quoted, or the answer that was not understood.
#[tokio::test]
async fn failures_tell_no_secrets() {
    for effect in [
        Effect::Fault(Fault::Cut),
        Effect::Fault(Fault::Garbage),
        Effect::Fault(Fault::Close),
        Effect::Fault(Fault::Error(Code::SignatureDoesNotMatch)),
        Effect::Session(Duration::ZERO),
    ] {
        let world = Setup::default()
            .pod(A, "a-role")
            .rule(Rule::always(effect))
            .start()
            .await;
        world.log.wait_for("no new credentials").await;
        world.sts().rules().clear();
        leap(Duration::from_secs(1)).await;
        let list = async || world.client(A).get(ROLES).await.status;
        until(list, |status| *status == 200).await;
        world.status().await;
        assert!(!world.sts().secrets().is_empty());
        // The world's end looks for them.
    }
}
