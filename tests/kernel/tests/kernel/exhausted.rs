//! There is no more of something that the agent needs: places in a map, room on a disk, memory. It says so, and ends or
//! goes on; pods get their own role, a refusal or nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use bpf2iam_ebpf::abi::MAX_EXEMPT;
use bpf2iam_kernel::{
    bpftool,
    objects::{Objects, wait_until},
};
use bpf2iam_support::{
    Pod,
    process::{Process, output},
    stage::{Agent, Stage},
};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};

use crate::scene::{
    PATIENCE, assert_nobody_there, assert_role, attempt, beside, error_of, leaks, pod, stage,
    start, text, wait_until_served,
};

/// How many links there are.
const LINKS: usize = 8;
/// For so long it is tried to start with too little.
const TRIED: Duration = Duration::from_millis(1500);

fn attached(stage: &Stage) -> usize {
    bpftool::attached(&stage.node().kubepods()).unwrap().len()
}

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
struct Full<'a>(&'a Path);

impl<'a> Full<'a> {
    fn mount(at: &'a Path) -> Self {
        fs::create_dir_all(at).unwrap();
        mount(
            "full",
            at,
            "tmpfs",
            MountFlags::empty(),
            c"size=4k,nr_inodes=2",
        )
        .unwrap();
        let full = Self(at);
        fs::write(at.join("filler"), [0; 4096]).unwrap();
        full
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_disk_without_room_for_the_control_socket_is_named_and_nothing_is_changed() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let at = stage.scratch().join("full");
    let _full = Full::mount(&at);
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

/// A pod gets its own role, a refusal or nothing.
#[track_caller]
fn assert_harmless(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["connect"]);
    let own = report.body.as_ref() == Some(&pod.spec().name);
    assert!(own || report.status != Some(200), "{report:?}");
    assert!(!leaks(&report), "{report:?}");
}

/// A memory cgroup of the machine, of version 1: the kernel ends who needs more in it. Of version 2 the controller is
/// there, if at all, in the cgroups that the stage has made.
struct Memory(PathBuf);

impl Memory {
    /// None where there is no such controller.
    fn limit(stage: &Stage, kibibytes: usize) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup/memory");
        if !root.join("memory.limit_in_bytes").exists() {
            eprintln!("NOT TRIED: there is no memory controller of version 1");
            return None;
        }
        let cgroup = root.join(stage.node().name());
        fs::create_dir(&cgroup).unwrap();
        let memory = Self(cgroup);
        let limit = (kibibytes * 1024).to_string();
        fs::write(memory.0.join("memory.limit_in_bytes"), limit).unwrap();
        Some(memory)
    }

    /// Words that start a program in it.
    fn launcher(&self) -> [String; 4] {
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh", "-c", &enter, "sh"].map(str::to_owned)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // The last process in it may be on its way out.
        let removed = wait_until(PATIENCE, || Ok(fs::remove_dir(&self.0).is_ok()));
        assert!(matches!(removed, Ok(true)), "{}", self.0.display());
    }
}

/// How it ended, if it did in time. It is gone then.
fn end_of(stage: &Stage, launcher: &[&str]) -> Option<ExitStatus> {
    let agent = stage.agent_in(&stage.node().host(), launcher, &[]).unwrap();
    let mut agent = Process::spawn("bpf2iam", agent).unwrap();
    let over = agent.wait(TRIED).ok();
    agent.signal(Signal::KILL).unwrap_or_default();
    over
}

#[test]
fn an_agent_that_has_not_enough_memory_leaves_the_node_protected() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    start(&stage, &[]).end(Signal::KILL).unwrap();
    let check = |what: &str, ended: Option<ExitStatus>| {
        println!("{what}: {ended:?}");
        assert_eq!(attached(&stage), LINKS);
        assert_harmless(&stage, &cart);
    };
    // From what is not enough for its own program to what it starts with.
    for mebibytes in [16, 56, 64, 80] {
        let limit = format!("--as={}", mebibytes << 20);
        let ended = end_of(&stage, &["prlimit", &limit, "--"]);
        check(&format!("{mebibytes} MiB of addresses"), ended);
    }
    for kibibytes in [2048, 8192, 12288, 16384, 24576] {
        let Some(memory) = Memory::limit(&stage, kibibytes) else {
            break;
        };
        let launcher = memory.launcher();
        let ended = end_of(&stage, &launcher.each_ref().map(String::as_str));
        check(&format!("{kibibytes} KiB of memory"), ended);
    }
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}

/// It goes on with what it has.
#[test]
fn an_agent_that_gets_no_more_memory_while_it_serves_answers_rightly_or_not_at_all() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]).into_process();
    let pid = agent.pid().to_string();
    let mut prlimit = Command::new("prlimit");
    let limited = output(prlimit.args(["--pid", &pid, "--as=1"]), PATIENCE).unwrap();
    assert!(limited.status.success());
    for _ in 0..200 {
        assert_harmless(&stage, &cart);
    }
    drop(agent);
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}
