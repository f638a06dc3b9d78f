//! What an operator does to the agent, while pods ask all the time.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use bpf2iam_e2e::{
    Site, image,
    install::AGENT,
    pod::{IDLE, LIST, WHOAMI, assert_role},
    siege::Siege,
    wait,
};
use bpf2iam_support::{
    client::Spells,
    siege::{Outcome, Seen},
};
use serde_json::Value;

/// So many pods ask meanwhile.
const BESIEGERS: usize = 20;
/// How long they ask before and after.
const MOMENT: Duration = Duration::from_secs(2);
/// What tells what of an agent is on a node.
const RESIDUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../residue");

/// All that is harmless: the pod's own role or a refusal.
#[track_caller]
fn assert_harmless(seen: &Seen) {
    println!("{}", seen.summary());
    assert_eq!(seen.count(Outcome::Node), 0, "{}", seen.summary());
    // An answer that takes too long is a word to ask again, on a machine that is busy enough.
    let wrong = seen.among(Outcome::Wrong, |spell| !spell.is_busy());
    assert_eq!(wrong, 0, "{}", seen.summary());
    assert!(seen.count(Outcome::Own) > 0, "{}", seen.summary());
}

#[track_caller]
fn assert_unharmed(seen: &Seen) {
    assert_harmless(seen);
    assert_eq!(seen.count(Outcome::Own), seen.total(), "{}", seen.summary());
}

#[test]
fn when_the_agents_pod_is_deleted_pods_are_refused_until_the_next_one_serves() {
    let Some(site) = Site::find_or_skip("deleted") else {
        return;
    };
    let siege = Siege::begin(&site, 4).unwrap();
    let old = site.agent_pod().unwrap();
    let delete = ["delete", "pod", "--namespace", AGENT, &old, "--wait=false"];
    site.cluster.kubectl(&delete).unwrap();
    wait::until("another pod of the agent", || {
        let pods = site.agent_pods()?;
        Ok(if pods.contains(&old) || pods.is_empty() {
            Err(format!("{pods:?}"))
        } else {
            Ok(())
        })
    })
    .unwrap();
    site.wait_until_rolled_out(AGENT).unwrap();
    thread::sleep(MOMENT);
    let after = site.run(&site.pod_with_role("after", WHOAMI)).unwrap();
    let seen = siege.end().unwrap();
    assert_harmless(&seen);
    assert!(seen.count(Outcome::Refused) > 0, "{}", seen.summary());
    assert_role(&after, "after");
}

#[test]
fn an_upgrade_and_a_rollback_cost_twenty_pods_nothing() {
    let Some(site) = Site::find_or_skip("upgraded") else {
        return;
    };
    let siege = Siege::begin(&site, BESIEGERS).unwrap();
    thread::sleep(MOMENT);
    let tag = format!("image.tag={}", image::NEXT_VERSION);
    site.install(&[&tag]).unwrap();
    assert_eq!(site.version().unwrap(), image::NEXT_VERSION);
    thread::sleep(MOMENT);
    site.helm(&["rollback", AGENT, "--namespace", AGENT])
        .unwrap();
    site.wait_until_rolled_out(AGENT).unwrap();
    assert_eq!(site.version().unwrap(), image::VERSION);
    thread::sleep(MOMENT);
    assert_unharmed(&siege.end().unwrap());
}

/// What of an agent is on the node now. Addresses of a pod that has just started are not usable yet, and then have no routes.
fn snapshot(site: &Site, file: &Path) {
    wait::until("addresses that all can be used", || {
        let tentative = site.node_shell(TENTATIVE)?;
        let none = tentative.trim().is_empty();
        Ok(if none { Ok(()) } else { Err(tentative) })
    })
    .unwrap();
    let file = file.to_str().unwrap();
    let args = [RESIDUE, "snapshot", file, "--cgroup-root", "/run/cgroup2"];
    site.node(&args).unwrap();
}

/// Addresses of the node and of its pods of which the kernel still looks whether somebody has them.
const TENTATIVE: &str = "ip -6 -oneline address show tentative
    for file in /run/netns/*; do nsenter --net=\"$file\" ip -6 -oneline address show tentative; done";

/// The lines of a snapshot that say of an agent: its programs and where they are, pins, files and cgroups.
fn traces(snapshot: &str) -> Vec<&str> {
    let is_one = |line: &&str| match line.split_once(' ') {
        Some(("program" | "link" | "attachment", rest)) => rest.contains("imds_"),
        Some(("pin" | "file" | "socket", rest)) => rest.contains("bpf2iam"),
        Some((kind, _)) => kind == "cgroup",
        None => false,
    };
    snapshot.lines().filter(is_one).collect()
}

/// The pod's own role to the end, and at once what there is without an agent.
#[track_caller]
fn assert_handed_over(seen: &Seen) {
    println!("{}", seen.summary());
    let of = |outcome: &'static str| {
        let spells = seen.spells();
        spells.filter(move |spell| spell.outcome == outcome)
    };
    let own = of(Spells::OWN).map(|spell| spell.end).max();
    let node = of(Spells::NODE).map(|spell| spell.first).min();
    assert!(
        own.is_some() && node.is_some() && own < node,
        "{}",
        seen.summary()
    );
    let both = seen.count(Outcome::Own) + seen.count(Outcome::Node);
    assert_eq!(both, seen.total(), "{}", seen.summary());
}

/// Nothing was there of an agent, and nothing is.
#[track_caller]
fn assert_as_before(before: &Path, after: &Path) {
    let [was, is] = [before, after].map(|file| fs::read_to_string(file).unwrap());
    assert_eq!(traces(&was), Vec::<&str>::new());
    let compared = Command::new(RESIDUE)
        .arg("compare")
        .args([before, after])
        .output();
    let compared = compared.unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    assert_eq!(compared.status.code(), Some(0), "{said}\n{is}");
}

/// A pod with a role, the only one of the node, and no agent.
fn only_pod(site: &Site) -> Value {
    site.uninstall_if_installed().unwrap();
    let pod = site.pod_with_role("cart", IDLE);
    site.start(&pod).unwrap();
    // The pods of other tests may still be on their way out.
    wait::until("a node with one pod", || {
        let pods = site.node_shell("ls /var/lib/kubelet/pods | wc -l; ls /run/netns | wc -l")?;
        let one = pods.split_whitespace().all(|count| count == "1");
        Ok(if one { Ok(()) } else { Err(pods) })
    })
    .unwrap();
    pod
}

#[test]
fn after_an_uninstall_under_load_the_node_is_as_before_and_it_can_be_installed_again() {
    let Some(site) = Site::bare_or_skip("removed") else {
        return;
    };
    // The pod that asks later is not to be told from what an agent leaves.
    let pod = only_pod(&site);
    let scratch = tempfile::tempdir_in(site.state()).unwrap();
    let [before, during, after] =
        ["before", "during", "after"].map(|name| scratch.path().join(name));
    snapshot(&site, &before);
    site.install(&[]).unwrap();
    snapshot(&site, &during);
    assert!(!traces(&fs::read_to_string(&during).unwrap()).is_empty());
    let siege = Siege::begin_in(&site, &pod).unwrap();
    thread::sleep(MOMENT);
    site.uninstall().unwrap();
    thread::sleep(MOMENT);
    let seen = siege.end().unwrap();
    snapshot(&site, &after);
    assert_handed_over(&seen);
    assert_as_before(&before, &after);
    site.install(&[]).unwrap();
    assert_role(&site.exec(&pod, "main", &[WHOAMI]).unwrap(), "cart");
}

#[test]
fn of_two_agents_that_are_installed_one_serves_and_pods_keep_their_roles() {
    let Some(site) = Site::find_or_skip("twice") else {
        return;
    };
    let siege = Siege::begin(&site, 4).unwrap();
    site.install_as("bpf2iam-too", &["fullnameOverride=bpf2iam-too"])
        .unwrap();
    let ready = site.wait_until_rolled_out("bpf2iam-too");
    thread::sleep(MOMENT);
    let between = site.run(&site.pod_with_role("between", WHOAMI));
    let log = site.agent_log();
    site.helm(&[
        "uninstall",
        "bpf2iam-too",
        "--namespace=bpf2iam-too",
        "--wait",
    ])
    .unwrap();
    site.cluster
        .kubectl(&["delete", "namespace", "bpf2iam-too", "--wait=false"])
        .unwrap();
    // The first one stood by. It ends when it has seen for two leases that nobody serves, and is started anew.
    let back = site.wait_until_ready();
    let after = site.run(&site.pod_with_role("after", WHOAMI));
    assert_harmless(&siege.end().unwrap());
    ready.and(back).unwrap();
    let log = log.unwrap();
    assert!(log.contains("another agent has taken over"), "{log}");
    assert_role(&between.unwrap(), "between");
    assert_role(&after.unwrap(), "after");
    let role = site.run(&site.pod_with_role("late", &format!("curl -s {LIST}")));
    assert_eq!(role.unwrap(), "late");
}
