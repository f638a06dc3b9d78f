//! `bpf2iam doctor` on a node: what it says when all is well, and when one thing after the other is not. Commands that it
//! gives are run, and mend what they are for.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    time::Duration,
};

use bpf2iam_kernel::{
    bpftool,
    foreign::{Foreign, Sharing},
    objects::wait_until,
};
use bpf2iam_support::{
    Pod,
    process::output,
    stage::{STS, Stage},
};
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    footprint::version,
    scene::{PATIENCE, firewall, pod, stage, start, text},
};

/// Longer than all checks together may take.
const EXAMINATION: Duration = Duration::from_mins(3);

/// One line.
#[derive(Clone, Debug, Deserialize)]
struct Finding {
    check: String,
    verdict: String,
    what: String,
    fix: Option<String>,
}

/// What it said.
#[derive(Debug)]
struct Report {
    code: Option<i32>,
    findings: Vec<Finding>,
}

impl Report {
    fn of(&self, check: &str) -> Vec<&Finding> {
        let all = self.findings.iter();
        all.filter(|finding| finding.check == check).collect()
    }

    /// The one line about `check`.
    #[track_caller]
    fn one(&self, check: &str) -> &Finding {
        let all = self.of(check);
        assert_eq!(all.len(), 1, "{check}: {self:#?}");
        all[0]
    }

    #[track_caller]
    fn assert(&self, check: &str, verdict: &str, says: &str) {
        let one = self.one(check);
        assert_eq!(one.verdict, verdict, "{one:?}");
        assert!(one.what.contains(says), "{one:?}");
        assert_eq!(one.fix.is_none(), verdict == "ok", "{one:?}");
    }

    /// The command that mends the one line about `check`.
    #[track_caller]
    fn fix(&self, check: &str) -> &str {
        self.one(check).fix.as_deref().unwrap()
    }
}

/// The command on the node, started by the words of `launcher` if there are any. Nothing of the machine's own reaches it
/// but the path of its tools.
fn doctor(stage: &Stage, launcher: &[&str], args: &[&str]) -> Command {
    let agent = text(&stage.programs().agent).to_owned();
    let mut words = [launcher, &[&*agent]].concat().into_iter();
    let mut command = stage.node().host().command(words.next().unwrap()).unwrap();
    command
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("AWS_ENDPOINT_URL_STS", format!("http://{STS}"))
        .args(words)
        .args(["doctor", "-o", "json"])
        .args(args);
    for (flag, path) in [
        ("--cgroup-root", stage.node().cgroup_root().to_owned()),
        ("--kubepods", stage.node().kubepods()),
        ("--runtime-dir", stage.runtime_dir()),
        ("--pin-dir", stage.pin_dir()),
        ("--netns-dir", stage.scratch().join("netns")),
    ] {
        if !args.contains(&flag) {
            command.arg(flag).arg(path);
        }
    }
    command
}

fn examine_by(stage: &Stage, launcher: &[&str], args: &[&str]) -> Report {
    let output = output(&mut doctor(stage, launcher, args), EXAMINATION).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let findings = serde_json::from_slice(&output.stdout);
    Report {
        code: output.status.code(),
        findings: findings.unwrap_or_else(|error| panic!("{error}: {said}")),
    }
}

fn examine(stage: &Stage) -> Report {
    examine_by(stage, &[], &[])
}

/// A pod with a role whose network has a name where the doctor looks for such.
#[must_use]
fn named_pod(stage: &Stage, name: &str) -> Pod {
    let pod = pod(stage, name);
    let names = stage.scratch().join("netns");
    fs::create_dir_all(&names).unwrap();
    symlink(pod.netns().unwrap().path(), names.join(name)).unwrap();
    pod
}

/// Runs a command line as root of the node would.
#[track_caller]
fn sh(stage: &Stage, line: &str) {
    let mut command = stage.node().host().command("sh").unwrap();
    let output = output(command.args(["-c", line]), PATIENCE).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

const CHECKS: [&str; 15] = [
    "kernel",
    "btf",
    "capabilities",
    "bpffs",
    "cgroup",
    "kubepods",
    "agent",
    "programs",
    "conflicts",
    "lease",
    "metadata",
    "sts",
    "clock",
    "listener",
    "leftovers",
];

#[test]
fn a_node_where_all_is_well_has_nothing_to_be_mended() {
    let Some(stage) = stage() else { return };
    let _cart = named_pod(&stage, "cart");
    let _agent = start(&stage, &[]);
    let report = examine(&stage);
    let checks: Vec<_> = report.findings.iter().map(|one| &*one.check).collect();
    assert_eq!(checks, CHECKS);
    for one in &report.findings {
        // From inside a container it may not be told whose file system it is.
        let fine =
            one.verdict == "ok" || one.check == "bpffs" && one.what.contains("cannot be told");
        assert!(fine, "{one:?}");
    }
    assert_eq!(report.code, Some(0));
    report.assert("programs", "ok", "all 8 programs are attached");
    report.assert("listener", "ok", "from inside 1 network namespace");
    let page = output(doctor(&stage, &[], &[]).args(["-o", "text"]), EXAMINATION);
    assert!(page.is_ok());
}

#[test]
fn a_node_without_an_agent_is_told_what_that_means() {
    let Some(stage) = stage() else { return };
    let report = examine(&stage);
    assert_eq!(report.code, Some(1));
    report.assert("agent", "problem", "no agent answers at ");
    // Another node's agent is left alone.
    let node = Path::new("/proc/sys/kernel/hostname");
    let node = fs::read_to_string(node).unwrap();
    let this = format!("--field-selector spec.nodeName={}", node.trim());
    assert!(report.fix("agent").contains(&this), "{report:#?}");
    report.assert(
        "programs",
        "problem",
        "pods reach the real metadata service, and get the node's role",
    );
    report.assert("lease", "warning", "nothing of this version is pinned");
    report.assert("listener", "warning", "no agent answers");
    report.assert("conflicts", "ok", "nobody else is attached");
    assert!(!stage.pin_dir().exists(), "it was only looked");
}

#[test]
fn an_agent_that_is_asked_elsewhere_is_known_by_its_lease() {
    let Some(stage) = stage() else { return };
    let _cart = named_pod(&stage, "cart");
    let _agent = start(&stage, &[]);
    let elsewhere = stage.scratch().join("elsewhere");
    let report = examine_by(&stage, &[], &["--runtime-dir", text(&elsewhere)]);
    assert_eq!(report.code, Some(0), "{report:#?}");
    report.assert("agent", "warning", "there is one, as the lease is renewed");
    assert!(report.fix("agent").contains("--runtime-dir"), "{report:#?}");
    report.assert("lease", "ok", "it was renewed a moment ago");
    report.assert("listener", "ok", "from inside 1 network namespace");
}

#[test]
fn when_the_agent_was_killed_its_lease_ends() {
    for (when_gone, says) in [("deny", "are refused"), ("allow", "with the node's role")] {
        let Some(stage) = stage() else { return };
        let agent = start(&stage, &["--lease", "1s", "--when-agent-gone", when_gone]);
        examine(&stage).assert("lease", "ok", "it was renewed a moment ago");
        agent.end(Signal::KILL).unwrap();
        let ended = || Ok(examine(&stage).one("lease").verdict == "problem");
        assert!(wait_until(EXAMINATION, ended).unwrap());
        let report = examine(&stage);
        assert_eq!(report.code, Some(1));
        report.assert("agent", "problem", "no agent answers at ");
        report.assert("lease", "problem", says);
        report.assert("programs", "ok", "all 8 programs are attached");
    }
}

#[test]
fn links_that_were_detached_or_taken_away_are_named() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    let programs = agent.status().unwrap()["programs"].clone();
    let link = |name: &str| {
        let programs = programs.as_array().unwrap().iter();
        let mut named = programs.filter(|one| one["name"] == name);
        named.next().unwrap()["link_id"].as_u64().unwrap()
    };
    agent.end(Signal::KILL).unwrap();
    let id = link("imds_egress");
    sh(&stage, &format!("bpftool link detach id {id}"));
    let says = format!("imds_egress is not attached: its link (id {id}) was detached");
    examine(&stage).assert("programs", "problem", &says);

    let pin = version(&stage).join("links").join("imds_connect4");
    fs::remove_file(&pin).unwrap();
    let report = examine(&stage);
    let found = report.of("programs");
    assert_eq!(found.len(), 2, "{found:?}");
    let says = format!(
        "imds_connect4 is not attached: there is no link at {}",
        text(&pin)
    );
    assert!(found[0].what.contains(&says), "{found:?}");
}

#[test]
fn a_directory_that_lacks_something_and_one_of_another_version_are_told() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    agent.end(Signal::KILL).unwrap();
    let lease = version(&stage).join("maps").join("IMDS_LEASE");
    fs::remove_file(&lease).unwrap();
    fs::create_dir_all(stage.pin_dir().join("4711").join("maps")).unwrap();
    let report = examine(&stage);
    let found = report.of("programs");
    let verdicts: Vec<_> = found.iter().map(|one| &*one.verdict).collect();
    assert_eq!(verdicts, ["problem", "warning"], "{found:?}");
    let says = format!("{} is not there", text(&lease));
    assert!(found[0].what.contains(&says), "{found:?}");
    assert!(found[1].what.contains("/4711"), "{found:?}");
    report.assert("lease", "problem", "IMDS_LEASE");
}

#[test]
fn a_program_that_excludes_ours_is_named_and_the_command_takes_it_away() {
    let Some(stage) = stage() else { return };
    let parent = stage.node().kubepods().parent().unwrap().to_owned();
    let attach = |name: &str, sharing| {
        let foreign = Foreign::onlooker(name).unwrap();
        foreign.attach(&parent, sharing).unwrap();
        bpftool::attached(&parent).unwrap()[0].id
    };
    let id = attach("neighbour", Sharing::Exclusive);
    let report = examine(&stage);
    let says = format!(
        "the program neighbour (id {id}, cgroup_inet4_connect, {}) is attached so that no other may be",
        text(&parent)
    );
    report.assert("conflicts", "problem", &says);
    let (_, detach) = report
        .fix("conflicts")
        .split_once("take it away: ")
        .unwrap();
    sh(&stage, detach);
    examine(&stage).assert("conflicts", "ok", "nobody else is attached");

    attach("watcher", Sharing::Multi);
    let _agent = start(&stage, &[]);
    let report = examine(&stage);
    report.assert("conflicts", "ok", "beside ours there are watcher (id ");
    report.assert("programs", "ok", "all 8 programs are attached");
}

#[test]
fn a_rule_that_was_left_in_nftables_is_named_and_the_command_takes_it_away() {
    let Some(stage) = stage() else { return };
    let chain =
        "add table ip left; add chain ip left pre { type nat hook prerouting priority dstnat; }";
    let rule = |rule: &str| sh(&stage, &format!("nft 'add rule ip left pre {rule}'"));
    sh(&stage, &format!("nft '{chain}'"));
    rule("ip daddr 169.254.169.254 drop");
    examine(&stage).assert("leftovers", "ok", "no rule turns connections");
    rule("iifname veth* ip daddr 169.254.169.254 tcp dport 80 dnat to 10.77.0.1:8181");
    let report = examine(&stage);
    assert_eq!(report.code, Some(1));
    report.assert(
        "leftovers",
        "problem",
        "a rule in the chain pre of the table ip left",
    );
    sh(&stage, report.fix("leftovers"));
    examine(&stage).assert("leftovers", "ok", "no rule turns connections");
}

/// Whether there is such a program.
fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

#[test]
fn rules_that_kube2iam_left_in_iptables_are_named_and_the_command_takes_them_away() {
    let back_ends = ["iptables-legacy", "iptables-nft"];
    let there = back_ends.into_iter().filter(|program| exists(program));
    let there: Vec<_> = there.collect();
    if there.is_empty() {
        // Past the capture of the harness.
        let _closed = writeln!(
            io::stderr(),
            "SKIPPED: rules of iptables: there is no iptables"
        )
        .is_err();
    }
    for iptables in there {
        let Some(stage) = stage() else { return };
        // As kube2iam writes it.
        let rule = "-t nat -A PREROUTING -p tcp -d 169.254.169.254 --dport 80 -j DNAT --to-destination 10.77.0.1:8181 -i veth+";
        sh(&stage, &format!("{iptables} {rule}"));
        let report = examine(&stage);
        report.assert(
            "leftovers",
            "problem",
            "a rule in the chain PREROUTING of the table ",
        );
        sh(&stage, report.fix("leftovers"));
        examine(&stage).assert("leftovers", "ok", "no rule turns connections");
    }
}

#[test]
fn without_tools_it_is_told_what_was_not_looked_at() {
    let Some(stage) = stage() else { return };
    let mut command = doctor(&stage, &[], &[]);
    let output = output(command.env("PATH", stage.scratch()), EXAMINATION).unwrap();
    let findings = serde_json::from_slice(&output.stdout).unwrap();
    let code = output.status.code();
    let report = Report { code, findings };
    let found = report.of("leftovers");
    assert!(
        found.iter().all(|one| one.verdict == "warning"),
        "{found:?}"
    );
    let says = "rules of nftables were not looked at: no nft here";
    assert!(found.iter().any(|one| one.what == says), "{found:?}");
}

#[test]
fn without_capabilities_all_that_can_be_told_is_told() {
    let Some(stage) = stage() else { return };
    let _agent = start(&stage, &[]);
    let report = examine_by(&stage, &["setpriv", "--bounding-set=-all"], &[]);
    assert_eq!(report.code, Some(1));
    report.assert(
        "capabilities",
        "problem",
        "this process lacks CAP_BPF, CAP_PERFMON, ",
    );
    for check in CHECKS {
        assert!(!report.of(check).is_empty(), "{check}: {report:#?}");
    }
    report.assert("agent", "ok", "and is ready");
    // How much can be told depends on whether the machine lets everybody use bpf(2).
    let what = &report.one("programs").what;
    let known = [
        "cannot be looked at",
        "cannot be told without CAP_SYS_ADMIN",
    ];
    assert!(known.iter().any(|known| what.contains(known)), "{what}");
    assert_ne!(report.one("lease").verdict, "problem", "{report:#?}");
}

/// Whether the machine's first kernel thread can be seen: not from inside a container.
fn shows_mounts_of_the_node() -> bool {
    let pids = fs::read_link("/proc/self/ns/pid").unwrap();
    pids == Path::new("pid:[4026531836]") && fs::read("/proc/2/mountinfo").is_ok()
}

#[test]
fn pins_must_be_on_a_bpf_file_system_that_the_node_sees() {
    let Some(stage) = stage() else { return };
    let report = examine_by(&stage, &[], &["--pin-dir", "/run/bpf2iam-no-pins"]);
    report.assert(
        "bpffs",
        "problem",
        "/run/bpf2iam-no-pins is on no bpf file system (--pin-dir)",
    );
    // What is there already is not hidden.
    let fix = "give the agent, and this command, --pin-dir /sys/fs/bpf/bpf2iam";
    assert_eq!(report.fix("bpffs"), fix);
    let mount = stage.pin_dir().parent().unwrap().to_owned();
    let private = format!("mount -t bpf bpf {} && exec \"$@\"", text(&mount));
    let launcher = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        &private,
        "-",
    ];
    let report = examine_by(&stage, &launcher, &[]);
    if shows_mounts_of_the_node() {
        report.assert("bpffs", "problem", "what is pinned goes with it");
    } else {
        report.assert("bpffs", "warning", "cannot be told");
    }
    let read_only = format!("mount -o remount,bind,ro {} && exec \"$@\"", text(&mount));
    let launcher = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        &read_only,
        "-",
    ];
    let report = examine_by(&stage, &launcher, &[]);
    report.assert(
        "bpffs",
        "problem",
        "cannot be written to: Read-only file system",
    );
    let fix = "in the DaemonSet, take readOnly from the volume mount of ";
    assert!(report.fix("bpffs").starts_with(fix), "{report:#?}");
}

#[test]
fn whom_the_agent_cannot_reach_and_who_cannot_reach_it_is_told() {
    let Some(mut stage) = stage() else { return };
    let cart = named_pod(&stage, "cart");
    let _till = named_pod(&stage, "till");
    let agent = start(&stage, &[]);
    let port = agent.port();
    let rules = format!(
        "add table ip f; add chain ip f o {{ type filter hook output priority 0; }}; add rule ip f o tcp dport {port} drop"
    );
    firewall(&stage, &cart, &rules);
    stage.stop_sts();
    let report = examine(&stage);
    assert_eq!(report.code, Some(1));
    let says = format!(
        "from inside the network namespace cart the agent is not reached at 10.77.0.1:{port}"
    );
    report.assert("listener", "problem", &says);
    report.assert(
        "sts",
        "problem",
        "STS at http://10.77.0.1:8080/ cannot be reached: ",
    );
    report.assert("clock", "ok", "agrees with that of the metadata service");
    let report = examine_by(&stage, &[], &["--metadata-addr", "127.0.0.1:9"]);
    report.assert(
        "metadata",
        "problem",
        "the metadata service at http://127.0.0.1:9 does not answer",
    );
    let report = examine_by(&stage, &[], &["--metadata-addr", "off"]);
    report.assert("metadata", "ok", "not asked: --metadata-addr is off");
    report.assert("clock", "warning", "cannot be told");
}

#[test]
fn no_key_is_shown() {
    let Some(stage) = stage() else { return };
    let _cart = named_pod(&stage, "cart");
    let _agent = start(&stage, &[]);
    let mut command = doctor(&stage, &[], &[]);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDDOCTOR")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("AWS_SESSION_TOKEN", "hunter3");
    let output = output(&mut command, EXAMINATION).unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for secret in ["AKID", "hunter"] {
        assert!(!said.contains(secret), "{said}");
    }
    let calls = stage.ask_sts("/counts").unwrap();
    assert!(!calls.to_string().contains("WebIdentity"), "{calls}");
}
