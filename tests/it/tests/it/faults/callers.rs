//! Many who ask for the same at once, and do not wait for the answer.

use std::{collections::HashSet, time::Duration};

use bpf2iam_standins::sts::{Effect, Rule};
use tokio::task::JoinSet;

use crate::{
    client::{Client, Keys, ROLES},
    pod::Pod,
    wait::{soon, until},
    world::Setup,
};

const CALLERS: u8 = 250;

/// The keys of the role `shared`, as a client gets them that asks again after 503.
async fn keys(client: Client) -> Keys {
    loop {
        let answer = client.get(&format!("{ROLES}shared")).await;
        if answer.status != 503 {
            return answer.keys();
        }
    }
}

/// Asks, and gives up.
async fn gives_up(client: Client, after: Duration) {
    let path = format!("{ROLES}shared");
    let _too_late = tokio::time::timeout(after, client.get(&path))
        .await
        .is_err();
}

#[tokio::test]
async fn a_call_is_made_once_for_250_callers_of_whom_most_give_up() {
    let slow = Rule::always(Effect::Latency(Duration::from_millis(600)));
    let world = Setup::default().arg("--session-name={node}").start().await;
    let before = world.log.warnings().len();
    world.sts().rules().set(vec![slow]);
    for number in 1..=CALLERS {
        world.write_pod(Pod::new(number), Some("shared"));
    }
    let known = async || world.status().await.pods.len();
    until(known, |pods| *pods == usize::from(CALLERS)).await;
    let (mut patient, mut hasty) = (JoinSet::new(), JoinSet::new());
    for number in 1..=CALLERS {
        let client = world.client(Pod::new(number));
        if number % 10 == 0 {
            patient.spawn(soon(keys(client)));
        } else {
            let after = Duration::from_millis(u64::from(number % 50));
            hasty.spawn(gives_up(client, after));
        }
    }
    hasty.join_all().await;
    let keys = patient.join_all().await;
    assert_eq!(keys.len(), 25);
    let different: HashSet<_> = keys.iter().map(|keys| &keys.access_key_id).collect();
    assert_eq!(different.len(), 1);
    assert_eq!(world.calls("shared"), 1);
    assert_eq!(world.fetches("success").await, 1);
    assert_eq!(world.log.warnings().len(), before);
    // Whoever gave up is served as well when he comes again.
    for number in [1, 77, CALLERS] {
        let again = world.client(Pod::new(number)).keys("shared").await;
        assert_eq!(again, keys[0]);
    }
    assert_eq!(world.calls("shared"), 1);
}
