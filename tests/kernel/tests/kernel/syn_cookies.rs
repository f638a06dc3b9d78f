//! A listener that answers with SYN cookies loses the SYN, and our cookie with it. Then the address must do, and only where
//! it fits one record.

use bpf2iam_support::{
    client::{Tally, reported},
    stage::Stage,
};

use crate::{
    poison,
    scene::{LOOP_PATIENCE, assert_role, attempt, host_pod, pod, refused_for, stage, start},
};

/// Of each pod.
const CONNECTS: u64 = 500;

/// Makes the node answer every SYN with a cookie.
pub(crate) fn answer_with_cookies(stage: &Stage) {
    let netns = stage.node().netns();
    netns.sysctl("net.ipv4.tcp_syncookies", "2").unwrap();
}

/// How many connections the node has made from a cookie.
fn from_cookies(stage: &Stage) -> u64 {
    let read = || std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
    let text = stage.node().netns().run(read).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(name, _)| *name == "SyncookiesRecv");
    found.unwrap().1.parse().unwrap()
}

#[test]
fn pods_are_told_apart_by_their_addresses() {
    let Some(stage) = stage() else { return };
    let pods = [
        pod(&stage, "cart"),
        pod(&stage, "till"),
        host_pod(&stage, "log"),
    ];
    let agent = start(&stage, &[]);
    answer_with_cookies(&stage);
    let ways = ["connect", "mapped", "ipv6"];
    for pod in &pods {
        for way in ways {
            assert_role(&attempt(&stage, &pod.place(), &[way]), &pod.spec().name);
        }
    }
    let all = CONNECTS.to_string();
    let running = pods.each_ref().map(|pod| {
        let args = [
            "hammer",
            "--threads",
            "2",
            "--connects",
            &all,
            "--expect",
            &pod.spec().name,
        ];
        stage.client().start(&pod.place(), &args).unwrap()
    });
    for hammer in running {
        let tally: Tally = reported(&hammer, LOOP_PATIENCE).unwrap();
        assert_eq!((tally.ok, tally.total()), (CONNECTS, CONNECTS), "{tally:?}");
    }
    let all = agent.kernel_counter("redirected").unwrap();
    assert_eq!(all, 3 * (CONNECTS + 3));
    // A SYN whose port is still in TIME_WAIT gets no cookie (`tcp_conn_request`, Linux 6.18).
    let from_cookies = from_cookies(&stage);
    assert!(
        from_cookies * 100 >= all * 95,
        "{from_cookies} of {all} SYNs were lost"
    );
}

#[test]
fn a_pod_whose_address_another_one_claims_is_refused_rather_than_mistaken() {
    let Some(stage) = stage() else { return };
    let [attacker, victim] = ["attacker", "victim"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    answer_with_cookies(&stage);
    let poisoner = poison::attack(&stage, &agent, [&attacker, &victim]);
    let tally = poison::call(&stage, &victim, CONNECTS);
    drop(poisoner);
    assert_eq!((tally.wrong, tally.total()), (0, CONNECTS), "{tally:?}");
    let refused = refused_for(&stage, "ambiguous");
    assert!(refused > 0, "the attack never hit: {tally:?}");
    assert_eq!(tally.errors.values().sum::<u64>(), refused, "{tally:?}");
    // It ends with the attack.
    let tally = poison::call(&stage, &victim, 100);
    assert_eq!(tally.ok, 100, "{tally:?}");
}
