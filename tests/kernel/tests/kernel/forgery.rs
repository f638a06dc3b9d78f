//! SYNs that are forged: the record that their cookie names is of another address, and nobody is served.

use bpf2iam_kernel::objects::Objects;
use bpf2iam_support::{
    Pod,
    process::Process,
    stage::{STS, Stage},
};

use crate::scene::{
    PATIENCE, assert_refused, attempt, cgroup_id, firewall, pod, proxy, refused_for, stage, start,
};

/// A connection of `pod`'s to the proxy that stays open, as long as this lives.
fn open(stage: &Stage, pod: &Pod) -> Process {
    let client = stage
        .client()
        .start(&pod.place(), &["opened-before"])
        .unwrap();
    client
        .wait_for_line(|line| line == "opened", PATIENCE)
        .unwrap();
    client
}

/// Keeps the pod's kernel from resetting connections that it knows nothing of.
const NO_RESETS: &str = "table inet quiet {
    chain out {
        type filter hook output priority 0
        tcp flags & rst == rst drop
    }
}";

#[test]
fn the_cookie_of_another_pod_opens_nothing() {
    let Some(stage) = stage() else { return };
    let [forger, victim] = ["forger", "victim"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    let _open = open(&stage, &victim);
    let conns = Objects::of(&agent).unwrap().conns().unwrap();
    let victims = cgroup_id(victim.place().cgroup());
    let stolen = conns.iter().find(|conn| conn.cgroup == victims).unwrap();
    firewall(&stage, &forger, NO_RESETS);

    let (door, cookie) = (proxy(&agent), stolen.cookie.to_string());
    // Somebody who does not look at the cookie answers: it is a connection like any other.
    let other = ["forge", "--to", &STS.to_string(), "--cookie", &cookie];
    let report = attempt(&stage, &forger.place(), &other);
    assert!(report.answered(), "{report:?}");

    let nobodys = (stolen.cookie + 1_000_000).to_string();
    for (option, reason) in [
        (&["--cookie", &cookie][..], "other_peer"),
        (&["--cookie", &nobodys], "no_record"),
        (&[], "no_record"),
    ] {
        let before = refused_for(&stage, reason);
        let args = [&["forge", "--to", &door], option].concat();
        let report = attempt(&stage, &forger.place(), &args);
        assert!(report.connected, "{report:?}");
        assert_refused(&report, "ECONNRESET", "receive");
        assert_eq!(refused_for(&stage, reason), before + 1, "{reason}");
    }
}
