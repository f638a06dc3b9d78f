//! The attack on records that are found by addresses alone: a pod makes connections with the victim's address, port and
//! destination in a network of its own, so that the kernel's records of the two look alike.

use std::net::Ipv6Addr;

use bpf2iam_kernel::objects::{Conn, Objects, wait_until};
use bpf2iam_support::{
    Pod,
    client::Tally,
    process::Process,
    stage::{Agent, Stage},
};

use crate::scene::{PATIENCE, cgroup_id, pod, proxy, refused_for, stage, start};

/// How often the victim calls, always from this port.
const CALLS: u64 = 2_000;
const PORT: u16 = 33_333;

/// Lets `attacker` pretend to be `victim`, longer than any test takes.
pub(crate) fn attack(stage: &Stage, agent: &Agent, [attacker, victim]: [&Pod; 2]) -> Process {
    let (ip, port) = (victim.ipv4().unwrap().to_string(), PORT.to_string());
    let proxy = proxy(agent);
    let args = [
        "poison",
        "--proxy",
        &proxy,
        "--victim-ip",
        &ip,
        "--port",
        &port,
        "--seconds",
        "600",
    ];
    let poisoner = stage.client().start(&attacker.place(), &args).unwrap();
    poisoner
        .wait_for_line(|line| line == "poisoning", PATIENCE)
        .unwrap();
    poisoner
}

/// Lets `victim` call, so many times; each answer must name its role.
pub(crate) fn call(stage: &Stage, victim: &Pod, count: u64) -> Tally {
    let (port, count) = (PORT.to_string(), count.to_string());
    let role = &victim.spec().name;
    let args = [
        "victim", "--port", &port, "--count", &count, "--expect", role,
    ];
    stage.client().tally(&victim.place(), &args).unwrap()
}

/// Whether a record has the victim's address and the attacker's cgroup.
fn is_poison([attacker, victim]: [&Pod; 2], conn: &Conn) -> bool {
    let client: Ipv6Addr = victim.ipv4().unwrap().to_ipv6_mapped();
    conn.client == (client, PORT) && conn.cgroup == cgroup_id(attacker.place().cgroup())
}

#[test]
fn a_pod_cannot_pass_its_own_identity_to_another() {
    let Some(stage) = stage() else { return };
    let [attacker, victim] = ["attacker", "victim"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    let objects = Objects::of(&agent).unwrap();
    let both = [&attacker, &victim];

    let poisoner = attack(&stage, &agent, both);
    let poisoned = || Ok(objects.conns()?.iter().any(|conn| is_poison(both, conn)));
    assert!(
        wait_until(PATIENCE, poisoned).unwrap(),
        "no record of the attacker's"
    );
    let tally = call(&stage, &victim, CALLS);
    assert!(
        wait_until(PATIENCE, poisoned).unwrap(),
        "the attack ended too early"
    );
    drop(poisoner);

    assert_eq!((tally.ok, tally.total()), (CALLS, CALLS), "{tally:?}");
    let attacks = agent.kernel_counter("redirected").unwrap() - CALLS;
    assert!(
        attacks > CALLS,
        "too weak: {attacks} records of the attacker's"
    );
    for reason in ["other_peer", "ambiguous", "no_record"] {
        assert_eq!(refused_for(&stage, reason), 0, "{reason}");
    }
}
