//! Keys in the memory of the real agent: there while a pod may have them, and a moment later nowhere; and nobody else
//! gets to see that memory.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command, time::Duration};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Pod,
    memory::{self, Needle},
    process::{Process, output},
    stage::{Agent, STS, Stage},
};
use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{PATIENCE, get, pod, stage};

/// How long the keys of a pod that is gone may be in memory. An unused connection to STS is closed within 2 s.
const WIPED: Duration = Duration::from_secs(10);

/// A piece of a secret that nobody else has by accident.
const PIECE: usize = 20;

/// Lets the kernel write cores, whatever the limits of the test are.
const WITH_CORES: [&str; 3] = ["prlimit", "--core=unlimited:unlimited", "--"];

/// The capabilities that the agent cannot do without. Who has no others may not trace everybody.
const FOUR: [&str; 5] = [
    "setpriv",
    "--inh-caps=-all",
    "--bounding-set",
    "-all,+bpf,+perfmon,+net_admin,+dac_read_search",
    "--",
];

/// The secrets that a pod is given.
struct Secrets(Vec<String>);

impl Secrets {
    /// As the pod itself sees them.
    fn of(stage: &Stage, pod: &Pod) -> Self {
        let path = "/latest/meta-data/iam/security-credentials/";
        let path = format!("{path}{}", pod.spec().name);
        let mut keys = Value::Null;
        let given = wait_until(PATIENCE, || {
            let report = get(stage, &pod.place(), &path);
            keys = serde_json::from_str(&report.body.unwrap_or_default()).unwrap_or_default();
            Ok(report.status == Some(200))
        });
        assert!(given.unwrap(), "no keys for {}", pod.spec());
        let secret = |name: &str| keys[name].as_str().unwrap().to_owned();
        Self(vec![secret("SecretAccessKey"), secret("Token")])
    }

    /// Pieces of them: who leaves half of one has left one.
    fn pieces(&self) -> Vec<&str> {
        let pieces = |secret: &'_ String| [0, secret.len() / 2, secret.len() - PIECE];
        let of = |secret| pieces(secret).map(|at| secret.get(at..at + PIECE).unwrap());
        self.0.iter().flat_map(of).collect()
    }

    /// Where the agent has any of them.
    fn in_memory(&self, agent: &Agent) -> Vec<String> {
        let find =
            |piece: &str| memory::find(agent.process().pid(), &Needle::new(piece.as_bytes()));
        let pieces = self.pieces();
        pieces
            .into_iter()
            .flat_map(|piece| find(piece).unwrap())
            .collect()
    }

    /// Those of `texts` that have one in them.
    fn said_in(&self, mut texts: Vec<String>) -> Vec<String> {
        texts.retain(|text| self.pieces().iter().any(|piece| text.contains(piece)));
        texts
    }
}

/// The pod goes, and what the API server would say of it.
fn remove(stage: &Stage, pod: Pod) {
    let manifest = format!("{}-{}.yaml", pod.spec().namespace, pod.spec().name);
    fs::remove_file(stage.manifests().join(manifest)).unwrap();
    drop(pod);
}

/// How many connections from the agent's network to STS are open.
fn connections_to_sts(agent: &Agent) -> usize {
    let table = format!("/proc/{}/net/tcp", agent.process().pid());
    let table = fs::read_to_string(table).unwrap();
    let remote = format!(":{:04X} 01 ", STS.port()); // 01: established
    table.lines().filter(|line| line.contains(&remote)).count()
}

#[track_caller]
fn assert_wiped(secrets: &Secrets, agent: &Agent) {
    let wiped = wait_until(WIPED, || Ok(secrets.in_memory(agent).is_empty()));
    assert!(wiped.unwrap(), "still at {:#?}", secrets.in_memory(agent));
}

#[test]
fn keys_are_wiped_when_the_last_pod_that_has_them_is_gone_and_are_never_logged() {
    let Some(stage) = stage() else { return };
    let (cart, other) = (pod(&stage, "cart"), pod(&stage, "other"));
    let agent = stage.start_agent(&["--log-level", "trace"]).unwrap();
    let (carts, others) = (Secrets::of(&stage, &cart), Secrets::of(&stage, &other));
    for secrets in [&carts, &others] {
        assert!(secrets.in_memory(&agent).len() >= secrets.pieces().len());
    }

    remove(&stage, cart);
    assert_wiped(&carts, &agent);
    assert!(!others.in_memory(&agent).is_empty());
    remove(&stage, other);
    assert_wiped(&others, &agent);
    // With TLS, a connection has the last answer as long as it lives.
    assert!(wait_until(WIPED, || Ok(connections_to_sts(&agent) == 0)).unwrap());

    let said = [
        agent.process().lines(),
        vec![
            agent.status_page(&[]).unwrap(),
            agent.status_page(&["-o", "json"]).unwrap(),
            stage.admin("/metrics").unwrap(),
            stage.ask_sts("/calls").unwrap().to_string(),
            stage.ask_sts("/issued").unwrap().to_string(),
        ],
    ];
    for secrets in [carts, others] {
        assert_eq!(secrets.said_in(said.concat()), Vec::<String>::new());
    }
}

#[test]
fn a_crash_leaves_no_core() {
    let Some(stage) = stage() else { return };
    let crash = |mut command: Command| {
        command.current_dir(stage.scratch());
        let mut process = Process::spawn("to crash", command).unwrap();
        let ready = |line: &str| line.contains("ready");
        process.wait_for_line(ready, PATIENCE).unwrap();
        let limits = format!("/proc/{}/limits", process.pid());
        let limits = fs::read_to_string(limits).unwrap();
        let limit = limits.lines().find(|line| line.contains("core file"));
        process.signal(Signal::ABORT).unwrap();
        (limit.unwrap().to_owned(), process.wait(PATIENCE).unwrap())
    };
    let host = stage.node().host();

    let mut shell = host.command(WITH_CORES[0]).unwrap();
    shell.args(&WITH_CORES[1..]);
    shell.args(["sh", "-c", "echo ready; read line"]);
    let (limit, ended) = crash(shell);
    assert!(limit.contains("unlimited"), "{limit}");
    assert!(ended.core_dumped(), "this kernel dumps cores: {ended}");

    let (limit, ended) = crash(stage.agent_in(&host, &WITH_CORES, &[]).unwrap());
    let words: Vec<_> = limit.split_whitespace().collect();
    assert_eq!(words, ["Max", "core", "file", "size", "0", "0", "bytes"]);
    assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!ended.core_dumped(), "{ended}");
}

#[test]
fn programs_with_the_same_rights_do_not_see_the_agents_memory() {
    let Some(stage) = stage() else { return };
    let host = stage.node().host();
    let look_at = |pid: u32| {
        let mut look = host.command(FOUR[0]).unwrap();
        look.args(&FOUR[1..]);
        look.args(["head", "--bytes=0", &format!("/proc/{pid}/mem")]);
        output(&mut look, PATIENCE).unwrap()
    };
    let mut sleep = host.command(FOUR[0]).unwrap();
    sleep.args(&FOUR[1..]).args(["sleep", "60"]);
    let sleep = Process::spawn("sleep", sleep).unwrap();
    let seen = || Ok(look_at(sleep.pid()).status.success());
    assert!(wait_until(PATIENCE, seen).unwrap());

    let agent = stage.agent_in(&host, &FOUR, &[]).unwrap();
    let agent = Agent::ready(Process::spawn("bpf2iam", agent).unwrap(), &stage).unwrap();
    let looked = look_at(agent.process().pid());
    let said = String::from_utf8_lossy(&looked.stderr);
    assert!(said.contains("Permission denied"), "{said}");
    assert!(agent.stop().unwrap().success());
}
