//! What is left on a node: nothing. `tests/residue`, which can be run on any node, says so about these.
//!
//! Other tests load the same programs at the same time. So it looks only at what the stage's own cgroups and pins lead to,
//! and what nothing leads to is looked for by its numbers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bpf2iam_kernel::objects::{Objects, wait_until};
use bpf2iam_support::{process::output, stage::Stage};
use rustix::process::Signal;

use crate::scene::{LOOP_PATIENCE, PATIENCE, pod, stage, start, text};

/// The script.
const SCRIPT: &str = include_str!("../../../residue");

/// The script on a stage.
struct Residue<'a> {
    stage: &'a Stage,
    script: PathBuf,
}

impl<'a> Residue<'a> {
    fn of(stage: &'a Stage) -> Self {
        let script = stage.scratch().join("residue");
        fs::write(&script, SCRIPT).unwrap();
        Self { stage, script }
    }

    /// Runs it on the node; its exit code, and what it said.
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.stage.node().host().command("bash").unwrap();
        command.arg(&self.script).args(args);
        let output = output(&mut command, LOOP_PATIENCE).unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// What is there now.
    fn snapshot(&self, name: &str) -> PathBuf {
        let file = self.stage.scratch().join(name);
        let (host, pins) = (self.stage.node().host(), self.stage.pin_dir());
        let all = host.cgroup().parent().unwrap();
        let (bpffs, run) = (pins.parent().unwrap(), self.stage.runtime_dir());
        let (code, said) = self.run(&[
            "snapshot",
            text(&file),
            "--within",
            "--cgroup-root",
            text(all),
            "--bpffs",
            text(bpffs),
            "--path",
            text(&run),
        ]);
        assert_eq!((code, said.as_str()), (Some(0), ""));
        file
    }

    /// The differences, as the script tells them.
    fn compare(&self, before: &Path, after: &Path) -> Vec<String> {
        let (code, said) = self.run(&["compare", text(before), text(after)]);
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        let last = lines.pop().unwrap_or_default();
        if code == Some(0) {
            assert_eq!((last.as_str(), lines.len()), ("no difference", 0), "{said}");
        } else {
            assert_eq!(code, Some(1), "{said}");
            assert_eq!(last, format!("{} differences", lines.len()), "{said}");
        }
        lines
    }

    /// Fails unless all is as it was, as soon as the kernel has forgotten what it may take a moment to.
    #[track_caller]
    fn assert_none_since(&self, before: &Path) {
        let mut left = Vec::new();
        let same = wait_until(PATIENCE, || {
            left = self.compare(before, &self.snapshot("after"));
            Ok(left.is_empty())
        });
        assert!(same.unwrap(), "{left:#?}");
    }
}

/// How many of these lines begin so.
fn count(lines: &[String], beginning: &str) -> usize {
    let found = lines.iter().filter(|line| line.starts_with(beginning));
    found.count()
}

#[test]
fn after_an_uninstall_the_node_is_as_before_also_after_a_crash() {
    let Some(stage) = stage() else { return };
    pod(&stage, "cart");
    let residue = Residue::of(&stage);
    let before = residue.snapshot("before");
    for signal in [Signal::TERM, Signal::KILL] {
        let agent = start(&stage, &[]);
        let objects = Objects::of(&agent).unwrap();
        let seen = residue.compare(&before, &residue.snapshot("with"));
        for (what, least) in [
            ("program cgroup_sock_addr imds_connect4 tag ", 1),
            ("program ", 8),
            ("link cgroup ", 8),
            ("map lru_hash name IMDS_CONNS ", 1),
            ("map ", 8),
            ("attachment ", 8),
            ("pin ", 16),
            ("socket tcp 10.77.0.1:", 1),
            ("socket unix ", 1),
            ("file ", 1),
        ] {
            let found = count(&seen, &format!("only after:  {what}"));
            assert!(found >= least, "{what}: {found} of {least}: {seen:#?}");
        }
        assert_eq!(count(&seen, "only before: "), 0, "{seen:#?}");
        agent.end(signal).unwrap();
        let (done, said) = stage.uninstall(&[]).unwrap();
        assert!(done, "{said}");
        residue.assert_none_since(&before);
        objects.wait_until_gone().unwrap();
    }
}

#[test]
fn whoever_asks_for_something_else_is_told_how_to_ask() {
    let Some(stage) = stage() else { return };
    let residue = Residue::of(&stage);
    let there = residue.snapshot("there");
    for (args, reason) in [
        (
            &["compare", text(&there)][..],
            "compare needs two snapshots",
        ),
        (
            &["compare", text(&there), "/proc/version"],
            "/proc/version is no snapshot",
        ),
        (&["snapshot"], "snapshot needs a FILE"),
        (
            &["snapshot", "/dev/null", "--path", "run"],
            "--path needs an absolute path, not run",
        ),
        (&["snapshot", "/dev/null", "--all"], "what is --all?"),
        (&[], "take a snapshot, or compare two"),
    ] {
        let (code, said) = residue.run(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(
            said.starts_with(&format!("residue: {reason}\nusage: ")),
            "{said}"
        );
    }
    let other = stage.scratch().join("other");
    let root = text(stage.node().cgroup_root());
    let (code, _) = residue.run(&["snapshot", text(&other), "--within", "--cgroup-root", root]);
    assert_eq!(code, Some(0));
    let (code, said) = residue.run(&["compare", text(&there), text(&other)]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("the snapshots are of different things: "),
        "{said}"
    );
}
