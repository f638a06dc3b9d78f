//! What the status tells of the kernel side: what outlives the agent, for how long it works, and whose it is.

use std::{fs, path::Path, process::Command};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    process::{Process, output},
    stage::{Agent, Stage},
};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, pod, stage, start, text};

/// The names of what is in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// What the agent with this runtime directory says; none if nobody answers there.
fn status_at(stage: &Stage, runtime_dir: &Path) -> Option<Value> {
    let mut command = Command::new(&stage.programs().agent);
    let command = command.args(["status", "-o", "json", "--runtime-dir", text(runtime_dir)]);
    let output = output(command, PATIENCE).unwrap();
    let said = output.status.success().then_some(output.stdout)?;
    Some(serde_json::from_slice(&said).unwrap())
}

/// Waits until that agent says this about itself.
fn wait_for(stage: &Stage, runtime_dir: &Path, serving: &str) -> Value {
    let mut last = None;
    let found = wait_until(PATIENCE, || {
        last = status_at(stage, runtime_dir);
        let status = last.as_ref();
        Ok(status.is_some_and(|status| status["kernel"]["serving"] == serving))
    });
    assert!(found.unwrap(), "not {serving}: {last:?}");
    last.unwrap()
}

/// For how long the programs go on by themselves, in milliseconds.
fn left(status: &Value) -> u64 {
    status["kernel"]["lease"]["left_ms"].as_u64().unwrap()
}

#[test]
fn the_status_tells_what_outlives_the_agent_and_for_how_long() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &["--lease", "20s", "--when-agent-gone", "allow"]);
    let status = agent.status().unwrap();
    assert_eq!(status["pid"], agent.process().pid());
    let (kernel, dir) = (
        &status["kernel"],
        stage.pin_dir().join(abi::VERSION.to_string()),
    );
    assert_eq!(kernel["abi"], abi::VERSION);
    assert_eq!(kernel["pin_dir"], text(&dir));
    let pinned = json!({"links": names(&dir.join("links")), "maps": names(&dir.join("maps"))});
    assert_eq!(kernel["pins"], pinned);
    assert_eq!(kernel["serving"], "yes");
    assert_eq!(kernel["lease"]["length_ms"], 20_000);
    assert_eq!(kernel["lease"]["when_agent_gone"], "allow");
    assert!((1..=20_000).contains(&left(&status)), "{kernel}");
    let page = agent.status_page(&[]).unwrap();
    let (pid, dir) = (status["pid"].as_u64().unwrap(), dir.display());
    for line in [
        format!("agent      pid {pid}, serving"),
        format!("pins       8 links, 8 maps in {dir} (ABI {})", abi::VERSION),
    ] {
        assert!(page.lines().any(|one| one == line), "{line}: {page}");
    }
}

#[test]
fn of_two_agents_each_says_whether_it_serves() {
    let Some(stage) = stage() else { return };
    pod(&stage, "cart");
    let dirs = ["first", "second"].map(|name| stage.scratch().join(name));
    let begin = |dir: &Path, lease: &str| {
        let args = ["--runtime-dir", text(dir), "--lease", lease];
        Process::spawn("bpf2iam", stage.agent(&args).unwrap()).unwrap()
    };
    let _first = Agent::ready(begin(&dirs[0], "40s"), &stage).unwrap();
    let serves = wait_for(&stage, &dirs[0], "yes");
    // Until it has the pod's keys the next one does not serve.
    let slow = json!([{"do": {"latency": "3s"}}]);
    stage.set_sts_rules(&slow).unwrap();
    let second = begin(&dirs[1], "10s");
    let waits = wait_for(&stage, &dirs[1], "waiting");
    assert_eq!(waits["kernel"]["pins"], serves["kernel"]["pins"]);
    assert_eq!(waits["kernel"]["lease"]["length_ms"], 10_000);
    assert!(
        left(&waits) > 10_000,
        "the lease is the first one's: {waits}"
    );
    let second = Agent::ready(second, &stage).unwrap();
    let displaced = status_at(&stage, &dirs[0]).expect("it finishes what is under way");
    assert_eq!(displaced["kernel"]["serving"], "displaced");
    let serves = wait_for(&stage, &dirs[1], "yes");
    assert_eq!(serves["pid"], second.process().pid());
    assert!(left(&serves) <= 10_000, "{serves}");
}
