//! Programs that run beside a test.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use bpf2iam_support::process::{Process, output};

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

#[test]
fn a_line_is_waited_for() {
    let mut process = Process::spawn("echo", shell("echo ready >&2; read x; echo got $x")).unwrap();
    process
        .wait_for_line(|line| line == "ready", PATIENCE)
        .unwrap();
    process.send_line("it").unwrap();
    process
        .wait_for_line(|line| line == "got it", PATIENCE)
        .unwrap();
    assert!(process.wait(PATIENCE).unwrap().success());
    assert_eq!(process.lines(), ["ready", "got it"]);
}

#[test]
fn a_line_that_cannot_come_any_more_is_not_waited_for() {
    let process = Process::spawn("early", shell("echo trouble; exit 3")).unwrap();
    let start = Instant::now();
    let error = process
        .wait_for_line(|line| line == "ready", PATIENCE)
        .unwrap_err();
    assert!(start.elapsed() < PATIENCE);
    assert!(error.to_string().contains("trouble"), "{error}");
    assert_eq!(process.stop().unwrap().code(), Some(3));
}

#[test]
fn a_program_is_asked_to_end_before_it_is_made_to() {
    let process = Process::spawn(
        "polite",
        shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"),
    );
    let process = process.unwrap();
    process
        .wait_for_line(|line| line == "up", PATIENCE)
        .unwrap();
    assert_eq!(process.stop().unwrap().code(), Some(7));
}

#[test]
fn a_program_that_hangs_is_killed_and_what_it_said_is_told() {
    let error = output(
        &mut shell("echo so far; exec sleep 60"),
        Duration::from_millis(300),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("so far"), "{error}");
}

#[test]
fn a_program_is_not_waited_for_longer_because_of_its_children() {
    let start = Instant::now();
    let output = output(&mut shell("sleep 20 & echo done"), PATIENCE).unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(start.elapsed() < PATIENCE);
}
