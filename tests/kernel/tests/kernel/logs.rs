//! What the programs log: with the agent's level, and at no cost below it.

use bpf2iam_kernel::objects::{Objects, wait_until};
use bpf2iam_support::stage::{Agent, Stage};

use crate::scene::{
    PATIENCE, assert_refused, assert_role, attempt, cgroup_id, pod, stage, start, wait_for_record,
};

/// The programs' size in bytes, all together.
fn size(agent: &Agent) -> u64 {
    let objects = Objects::of(agent).unwrap();
    objects
        .programs
        .iter()
        .map(|program| program.bytes_xlated)
        .sum()
}

fn start_at(stage: &Stage, level: &str) -> Agent {
    start(stage, &["--log-level", level])
}

/// Whether the agent has passed on something that the programs said.
fn programs_spoke(agent: &Agent) -> bool {
    let lines = agent.process().lines();
    lines.iter().any(|line| line.contains("bpf2iam_ebpf"))
}

#[test]
fn the_programs_log_what_they_decide_at_debug_and_each_connection_at_trace() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let cgroup = cgroup_id(cart.place().cgroup());
    let debug = [
        format!("redirected a connect from cgroup {cgroup}"),
        format!("refused a connect from cgroup {cgroup} to port 81"),
        format!("refused a message from cgroup {cgroup}"),
        format!("dropped a packet from cgroup {cgroup}"),
    ];
    for level in ["debug", "trace"] {
        let agent = start_at(&stage, level);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        for way in ["port-81", "udp-sendto", "raw-sendto"] {
            assert!(!attempt(&stage, &cart.place(), &[way]).answered());
        }
        for message in &debug {
            let record = wait_for_record(agent.process(), message, |_| true);
            assert_eq!(record["level"], "DEBUG", "{record}");
        }
        let lines = agent.process().lines();
        let each = lines.iter().any(|line| line.contains("recorded socket"));
        assert_eq!(each, level == "trace", "{lines:#?}");
    }
}

#[test]
fn what_is_not_logged_is_not_in_the_programs() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let sizes = ["info", "debug", "trace"].map(|level| {
        let agent = start_at(&stage, level);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        let refused = attempt(&stage, &cart.place(), &["port-81"]);
        assert_refused(&refused, "EPERM", "connect");
        if level == "info" {
            // By the end of a second request, what the programs said about the first has come.
            assert_role(&attempt(&stage, &cart.place(), &["mapped"]), "cart");
            let second = || Ok(agent.logged("request").len() == 2);
            assert!(wait_until(PATIENCE, second).unwrap());
            assert!(!programs_spoke(&agent), "{:#?}", agent.process().lines());
        }
        size(&agent)
    });
    assert!(
        sizes.is_sorted_by(|one, more| one < more),
        "{sizes:?} bytes"
    );
}
