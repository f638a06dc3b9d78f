//! Nothing is left: not after the end, not after a panic, not after a kill.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use bpf2iam_support::{
    Node, Options, Pod, cgroup,
    pod::Spec,
    privilege::root_or_skip,
    process::{Process, output},
    sweep::{of_this_process, sweep},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// Set for the process that a test starts from this very program, to kill it.
const VICTIM: &str = "BPF2IAM_VICTIM";

/// Files and directories that exist because of the node called `name`.
fn traces_of(name: &str) -> Vec<PathBuf> {
    let places = [PathBuf::from("/run/netns"), cgroup::mount_point().unwrap()];
    let entries = places
        .iter()
        .flat_map(|place| fs::read_dir(place).unwrap().flatten());
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .map(|entry| entry.path())
        .collect()
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A node with two pods, and in one of them a process that ignores SIGTERM, with the pid of a child of it.
fn busy_node() -> (Node, [Pod; 2], Process, String) {
    let node = Node::create(Options::default()).unwrap();
    let pods = ["a", "b"].map(|name| node.add_pod(Spec::new("ns", name)).unwrap());
    let mut shell = pods[0].command("sh").unwrap();
    shell.args(["-c", "trap '' TERM; sleep 1000 & echo $!; wait"]);
    let process = Process::spawn("stubborn", shell).unwrap();
    let child = process.wait_for_line(|_| true, PATIENCE).unwrap();
    (node, pods, process, child)
}

#[test]
fn a_node_that_goes_takes_everything_with_it() {
    if !root_or_skip("a_node_that_goes_takes_everything_with_it") {
        return;
    }
    let (node, pods, process, child) = busy_node();
    let name = node.name();
    assert_eq!(traces_of(&name).len(), 4, "{:?}", traces_of(&name));
    let listed = of_this_process().unwrap();
    assert!(traces_of(&name).iter().all(|trace| listed.contains(trace)));
    drop(node);
    assert_eq!(traces_of(&name), Vec::<PathBuf>::new());
    assert!(!runs(child.parse().unwrap()) || is_zombie(&child));
    drop((pods, process));
}

#[test]
fn a_pod_that_goes_leaves_the_others_alone() {
    if !root_or_skip("a_pod_that_goes_leaves_the_others_alone") {
        return;
    }
    let (node, [busy, other], process, _child) = busy_node();
    drop(busy);
    assert_eq!(traces_of(&node.name()).len(), 3);
    assert!(
        output(&mut other.command("true").unwrap(), PATIENCE)
            .unwrap()
            .status
            .success()
    );
    node.verify_isolated().unwrap();
    drop(process);
}

#[test]
fn a_pods_link_is_gone_before_the_next_pod_comes() {
    if !root_or_skip("a_pods_link_is_gone_before_the_next_pod_comes") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let devices = || fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    for index in 1..=5 {
        let pod = node.add_pod(Spec::new("ns", "again")).unwrap();
        let link = format!("veth{index}:");
        assert!(node.netns().run(devices).unwrap().contains(&link));
        drop(pod);
        assert!(!node.netns().run(devices).unwrap().contains(&link));
    }
}

#[test]
fn a_panic_leaves_nothing_behind() {
    if !root_or_skip("a_panic_leaves_nothing_behind") {
        return;
    }
    let (mut name, mut pid) = (String::new(), 0);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let (node, pods, process, _child) = busy_node();
        name = node.name();
        pid = process.pid();
        // The node first, which does not ask processes to end.
        let _things = (node, pods, process);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert!(!name.is_empty());
    assert_eq!(traces_of(&name), Vec::<PathBuf>::new());
    assert!(!runs(pid));
}

#[test]
fn a_process_does_not_outlive_who_started_it() {
    if !root_or_skip("a_process_does_not_outlive_who_started_it") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let mut sleep = node.host().command("sleep").unwrap();
    sleep.arg("1000");
    let starter = thread::spawn(move || Process::spawn("sleep", sleep).unwrap());
    let mut sleeper = starter.join().unwrap();
    let ended = sleeper.wait(PATIENCE).unwrap();
    assert_eq!(ended.signal(), Some(9));
}

#[test]
fn the_leftovers_of_a_killed_process_are_swept_and_nobody_elses() {
    if !root_or_skip("the_leftovers_of_a_killed_process_are_swept_and_nobody_elses") {
        return;
    }
    if std::env::var_os(VICTIM).is_some() {
        return leave_everything_behind();
    }
    let living = Node::create(Options::default()).unwrap();
    let mut this = Command::new(std::env::current_exe().unwrap());
    let test = "cleanup::the_leftovers_of_a_killed_process_are_swept_and_nobody_elses";
    this.args(["--exact", test, "--nocapture"]).env(VICTIM, "1");
    let mut victim = Process::spawn("victim", this).unwrap();
    let line = victim
        .wait_for_line(|line| line.contains("node "), PATIENCE)
        .unwrap();
    let name = line.rsplit(' ').next().unwrap().to_owned();
    assert_eq!(traces_of(&name).len(), 4, "{line}");
    sweep().unwrap();
    assert_eq!(traces_of(&name).len(), 4, "its creator lives");

    victim.signal(rustix::process::Signal::KILL).unwrap();
    victim.wait(PATIENCE).unwrap();
    sweep().unwrap();
    assert_eq!(traces_of(&name), Vec::<PathBuf>::new());
    assert_eq!(traces_of(&living.name()).len(), 2);
}

/// What the process does that is killed.
fn leave_everything_behind() {
    let (node, _pods, _process, _child) = busy_node();
    println!("node {}", node.name());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Whether a process has ended and nobody has asked how.
fn is_zombie(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}
