//! What an operator does to the agent, while pods ask all the time.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use bpf2iam_e2e::{
    Site, image,
    install::AGENT,
    pod::{LIST, WHOAMI, assert_role},
    siege::Siege,
    wait,
};
use bpf2iam_support::siege::{Outcome, Seen};

/// So many pods ask meanwhile.
const BESIEGERS: usize = 20;
/// How long they ask before and after.
const MOMENT: Duration = Duration::from_secs(2);
/// How long the kernel looks whether somebody has a new address already.
const ADDRESSES: Duration = Duration::from_secs(3);
/// What tells what of an agent is on a node.
const RESIDUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../residue");

/// All that is harmless: the pod's own role or a refusal.
#[track_caller]
fn assert_harmless(seen: &Seen) {
    println!("{}", seen.summary());
    assert_eq!(seen.count(Outcome::Node), 0, "{}", seen.summary());
    assert_eq!(seen.count(Outcome::Wrong), 0, "{}", seen.summary());
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
    thread::sleep(ADDRESSES);
    let file = file.to_str().unwrap();
    let args = [RESIDUE, "snapshot", file, "--cgroup-root", "/run/cgroup2"];
    site.node(&args).unwrap();
}

#[test]
fn after_an_uninstall_under_load_the_node_is_as_before_and_it_can_be_installed_again() {
    let Some(site) = Site::bare_or_skip("removed") else {
        return;
    };
    // With no agent, but with the pods that ask later: they are not to be told from what an agent leaves.
    site.uninstall_if_installed().unwrap();
    let pod = site.pod_with_role("cart", "while :; do sleep 1; done");
    site.start(&pod).unwrap();
    // The pods of other tests may still be on their way out.
    wait::until("a node with one pod", || {
        let pods = site.node_shell("ls /var/lib/kubelet/pods | wc -l; ls /run/netns | wc -l")?;
        let one = pods.split_whitespace().all(|count| count == "1");
        Ok(if one { Ok(()) } else { Err(pods) })
    })
    .unwrap();
    let scratch = tempfile::tempdir_in(site.state()).unwrap();
    let [before, after] = ["before", "after"].map(|name| scratch.path().join(name));
    snapshot(&site, &before);
    site.install(&[]).unwrap();
    let siege = Siege::begin_in(&site, &pod).unwrap();
    thread::sleep(MOMENT);
    site.uninstall().unwrap();
    thread::sleep(MOMENT);
    let seen = siege.end().unwrap();
    snapshot(&site, &after);
    println!("{}", seen.summary());
    // Never the node's role before, always after.
    let own = seen
        .spells()
        .filter(|spell| spell.outcome == "own")
        .map(|spell| spell.end)
        .max();
    let node = seen
        .spells()
        .filter(|spell| spell.outcome == "node")
        .map(|spell| spell.first)
        .min();
    assert!(
        own.is_some() && node.is_some() && own < node,
        "{}",
        seen.summary()
    );
    let compared = Command::new(RESIDUE)
        .arg("compare")
        .args([&before, &after])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    assert_eq!(
        compared.status.code(),
        Some(0),
        "{said}\n{}",
        fs::read_to_string(&after).unwrap()
    );
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
    assert_role(&between.unwrap(), "between");
    assert_role(&after.unwrap(), "after");
    let role = site.run(&site.pod_with_role("late", &format!("curl -s {LIST}")));
    assert_eq!(role.unwrap(), "late");
}
