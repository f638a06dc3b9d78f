//! Many connections at a time, from two pods: each is attested as what it is.

use bpf2iam_kernel::objects::{Objects, wait_until};
use bpf2iam_support::client::{Tally, reported};

use crate::scene::{LOOP_PATIENCE, PATIENCE, host_pod, pod, stage, start};

/// Of all threads together.
const CONNECTS: u64 = 10_000;

#[test]
fn ten_thousand_connections_of_eight_threads_in_two_pods_are_never_mixed_up() {
    let Some(stage) = stage() else { return };
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    let agent = start(&stage, &[]);
    let half = (CONNECTS / 2).to_string();
    let running = pods.each_ref().map(|pod| {
        let args = [
            "hammer",
            "--threads",
            "4",
            "--connects",
            &half,
            "--expect",
            &pod.spec().name,
        ];
        stage.client().start(&pod.place(), &args).unwrap()
    });
    for hammer in running {
        let tally: Tally = reported(&hammer, LOOP_PATIENCE).unwrap();
        assert_eq!(
            (tally.ok, tally.total()),
            (CONNECTS / 2, CONNECTS / 2),
            "{tally:?}"
        );
    }
    assert_eq!(agent.kernel_counter("redirected").unwrap(), CONNECTS);
    assert_eq!(agent.kernel_counter("failed_record").unwrap(), 0);
    let objects = Objects::of(&agent).unwrap();
    let forgotten = wait_until(PATIENCE, || Ok(objects.conns()?.is_empty())).unwrap();
    assert!(forgotten, "still recorded: {:?}", objects.conns().unwrap());
}
