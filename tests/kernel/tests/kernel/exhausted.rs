//! There is no more of something that the agent needs: places in a map, room on a disk, memory. It says so, and ends or
//! goes on; pods get their own role, a refusal or nothing.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use bpf2iam_ebpf::abi::MAX_EXEMPT;
use bpf2iam_kernel::{
    bpftool,
    objects::{Objects, wait_until},
};
use bpf2iam_support::{
    process::{Process, output},
    siege::{Outcome, Siege},
    stage::{Agent, Stage},
};
use rustix::process::Signal;

use crate::{
    footprint::{LINKS, attached},
    memory::Memory,
    mounted::Mounted,
    scene::{
        LOOP_PATIENCE, PATIENCE, assert_harmless, assert_nobody_there, assert_role, attempt,
        beside, error_of, pod, says_ready, stage, start, text, wait_until_served,
    },
};

/// Fills the map of those who reach the real service, with cgroups that there are not. Says its id.
fn fill_exempt(agent: &Agent) -> u32 {
    let map = Objects::of(agent).unwrap().map("IMDS_EXEMPT").unwrap();
    let nobody = |number: usize| {
        (
            (u64::MAX - number as u64).to_ne_bytes(),
            1_u32.to_ne_bytes(),
        )
    };
    let room = MAX_EXEMPT - bpftool::dump(map).unwrap().len();
    bpftool::fill(map, (0..room).map(nobody)).unwrap();
    assert_eq!(bpftool::dump(map).unwrap().len(), MAX_EXEMPT);
    map
}

#[test]
fn agents_that_crashed_leave_room_among_the_exempt_for_a_successor() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    // As if so many had crashed, each in a cgroup of its own.
    let map = fill_exempt(&agent);
    let elsewhere = beside(&stage);
    let next = stage.agent_in(&elsewhere, &[], &[]).unwrap();
    let next = Agent::ready(Process::spawn("bpf2iam", next).unwrap(), &stage).unwrap();
    // The one before it may live still.
    assert!(bpftool::dump(map).unwrap().len() <= 2);
    agent.stop().unwrap();
    let alone = || Ok(bpftool::dump(map)?.len() == 1);
    assert!(wait_until(PATIENCE, alone).unwrap());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    drop(next);
}

/// A file system with room for nothing.
fn full(at: &Path) -> Mounted<'_> {
    let mounted = Mounted::tmpfs(at, c"size=4k,nr_inodes=2");
    fs::write(at.join("filler"), [0; 4096]).unwrap();
    mounted
}

#[test]
fn a_disk_without_room_for_the_control_socket_is_named_and_nothing_is_changed() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let at = stage.scratch().join("full");
    let _full = full(&at);
    for protected in [false, true] {
        for dir in [at.clone(), at.join("run")] {
            let error = error_of(stage.agent(&["--runtime-dir", text(&dir)]).unwrap());
            assert!(error.contains("No space left on device"), "{error}");
            assert!(error.contains(text(&dir)), "{error}");
            assert_eq!(attached(&stage), if protected { LINKS } else { 0 });
            assert_eq!(stage.pin_dir().exists(), protected);
        }
        if protected {
            assert_nobody_there(&stage, &cart);
        } else {
            start(&stage, &[]).end(Signal::KILL).unwrap();
        }
    }
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}

/// Waits until the agent says at its admin port that it is ready: there is no log.
fn wait_until_ready(stage: &Stage) {
    let ready = || Ok(stage.admin("/readyz").is_ok_and(|said| said == "ready\n"));
    assert!(wait_until(PATIENCE, ready).unwrap());
}

#[test]
fn a_disk_without_room_for_the_log_stops_nobody() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let launcher = ["sh", "-c", "exec \"$@\" >/dev/full 2>/dev/full", "sh"];
    let agent = stage
        .agent_in(&stage.node().host(), &launcher, &["--log-level", "debug"])
        .unwrap();
    let mut agent = Process::spawn("bpf2iam", agent).unwrap();
    wait_until_ready(&stage);
    wait_until_served(&stage, &cart);
    agent.signal(Signal::INT).unwrap();
    assert!(agent.wait(PATIENCE).unwrap().success());
    assert_eq!(attached(&stage), 0);
}

/// How an agent ended that was started so, or none if it is ready; it is gone then.
fn end_of(stage: &Stage, launcher: &[&str]) -> Option<ExitStatus> {
    let agent = stage.agent_in(&stage.node().host(), launcher, &[]).unwrap();
    let mut agent = Process::spawn("bpf2iam", agent).unwrap();
    let mut ended = None;
    let decided = wait_until(LOOP_PATIENCE, || {
        ended = agent.wait(Duration::ZERO).ok();
        Ok(ended.is_some() || says_ready(&agent))
    });
    assert!(decided.unwrap(), "{:#?}", agent.lines());
    if ended.is_none() {
        agent.signal(Signal::KILL).unwrap();
        agent.wait(PATIENCE).unwrap();
    }
    ended
}

/// From what is not enough for its own program to what it starts with: limits, and how who has so much ended.
fn assert_some_are_too_little(ended: &[(u64, Option<ExitStatus>)]) {
    println!("{ended:?}");
    let failed = |ended: Option<ExitStatus>| ended.is_some_and(|ended| !ended.success());
    let smallest = ended.first();
    assert!(smallest.is_none_or(|(_, ended)| failed(*ended)));
    assert!(
        ended
            .iter()
            .all(|(_, ended)| ended.is_none() || failed(*ended))
    );
}

#[test]
fn an_agent_that_has_not_enough_memory_leaves_the_node_protected() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    start(&stage, &[]).end(Signal::KILL).unwrap();
    let try_with = |launcher: &[&str]| {
        let ended = end_of(&stage, launcher);
        assert_eq!(attached(&stage), LINKS);
        assert_harmless(&stage, &cart);
        ended
    };
    let addresses = [16, 56, 64, 80].map(|mebibytes: u64| {
        let limit = format!("--as={}", mebibytes << 20);
        (mebibytes, try_with(&["prlimit", &limit, "--"]))
    });
    assert_some_are_too_little(&addresses);
    let mut memory = Vec::new();
    for kibibytes in [2048, 8192, 12288, 16384, 24576] {
        let Some(limited) = Memory::limited(&stage, kibibytes << 10) else {
            break;
        };
        let launcher = limited.launcher();
        let ended = try_with(&launcher.each_ref().map(String::as_str));
        assert!(ended.is_none() || limited.kills() > 0, "{ended:?}");
        memory.push((kibibytes, ended));
    }
    assert_some_are_too_little(&memory);
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}

/// It goes on with what it has, and ends when it needs more.
#[test]
fn an_agent_that_gets_no_more_memory_while_it_serves_answers_rightly_until_it_ends_for_it() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let mut agent = start(&stage, &[]).into_process();
    let pid = agent.pid().to_string();
    let mut prlimit = Command::new("prlimit");
    let limited = output(prlimit.args(["--pid", &pid, "--data=1"]), PATIENCE).unwrap();
    assert!(limited.status.success());
    for _ in 0..200 {
        assert_harmless(&stage, &cart);
    }
    // What it cannot have there.
    let large = stage.manifests().join("large.yaml");
    fs::write(&large, vec![b'#'; 64 << 20]).unwrap();
    let ended = agent.wait(PATIENCE).unwrap();
    let aborted = ended.signal() == Some(Signal::ABORT.as_raw());
    assert!(aborted, "{ended}: {:#?}", agent.lines());
    fs::remove_file(large).unwrap();
    assert_eq!(attached(&stage), LINKS);
    assert_nobody_there(&stage, &cart);
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}

/// It may not have more than it has, and clients that ask make it need more.
fn tighten(memory: &Memory, agent: &mut Process) -> ExitStatus {
    let mut ended = None;
    let over = wait_until(LOOP_PATIENCE, || {
        // Version 1 refuses what is less than what is in use and cannot be had back.
        let _refused = memory.limit(memory.usage()).is_err();
        ended = agent.wait(Duration::ZERO).ok();
        Ok(ended.is_some())
    });
    assert!(over.unwrap(), "{} bytes are enough", memory.usage());
    ended.unwrap()
}

#[test]
fn an_agent_that_the_kernel_kills_for_its_memory_leaves_pods_refused_until_the_next_one_serves() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let Some(memory) = Memory::limited(&stage, 1 << 30) else {
        return;
    };
    let launcher = memory.launcher();
    let launcher = launcher.each_ref().map(String::as_str);
    let agent = stage.agent_in(&stage.node().host(), &launcher, &[]);
    let agent = Process::spawn("bpf2iam", agent.unwrap()).unwrap();
    let agent = Agent::ready(agent, &stage).unwrap();
    agent.wait_for_keys().unwrap();
    let siege = Siege::begin(&stage, &cart).unwrap();
    let ended = tighten(&memory, &mut agent.into_process());
    assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "{ended}");
    assert!(memory.kills() > 0);
    assert_eq!(attached(&stage), LINKS);
    assert_nobody_there(&stage, &cart);
    let _next = start(&stage, &[]);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    let seen = siege.end().unwrap();
    for never in [Outcome::Node, Outcome::Wrong] {
        assert_eq!(seen.count(never), 0, "{}", seen.summary());
    }
    for some in [Outcome::Own, Outcome::Refused] {
        assert!(seen.count(some) > 0, "{}", seen.summary());
    }
}
