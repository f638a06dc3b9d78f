//! What is left on a node: nothing. `tests/residue`, which can be run on any node, says so about these.
//!
//! Other tests load the same programs at the same time. So it looks only at what the stage's own cgroups and pins lead to,
//! and what nothing leads to is looked for by its numbers.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bpf2iam_kernel::objects::{Objects, wait_until};
use bpf2iam_support::{process::output, stage::Stage};
use rustix::process::Signal;

use crate::{
    footprint::{LINKS, MAPS, PINS},
    scene::{LOOP_PATIENCE, PATIENCE, pod, stage, start, text},
};

mod left;

use left::Left;

/// The script.
const SCRIPT: &str = include_str!("../../../residue");

/// The script on a stage.
struct Residue<'a> {
    stage: &'a Stage,
    script: PathBuf,
    /// Where it finds programs.
    path: OsString,
}

impl<'a> Residue<'a> {
    fn of(stage: &'a Stage) -> Self {
        let script = stage.scratch().join("residue");
        fs::write(&script, SCRIPT).unwrap();
        let path = env::var_os("PATH").unwrap();
        Self {
            stage,
            script,
            path,
        }
    }

    /// As on a node where `program` is there, and fails.
    fn without(mut self, program: &str) -> Self {
        let dir = self.stage.scratch().join("bin");
        fs::create_dir_all(&dir).unwrap();
        let fails = dir.join(program);
        fs::write(&fails, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&fails, fs::Permissions::from_mode(0o755)).unwrap();
        let all = [dir].into_iter().chain(env::split_paths(&self.path));
        self.path = env::join_paths(all).unwrap();
        self
    }

    /// Runs it on the node; its exit code, and what it said.
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.stage.node().host().command("bash").unwrap();
        command.arg(&self.script).args(args).env("PATH", &self.path);
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
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let agent = start(&stage, &[]);
        let objects = Objects::of(&agent).unwrap();
        let seen = residue.compare(&before, &residue.snapshot("with"));
        for (what, least) in [
            ("program cgroup_sock_addr imds_connect4 tag ", 1),
            ("program ", LINKS),
            ("link cgroup ", LINKS),
            ("map lru_hash name IMDS_CONNS ", 1),
            ("map ", MAPS),
            ("attachment ", LINKS),
            ("pin ", PINS),
            ("socket tcp 10.77.0.1:", 1),
            ("socket unix ", 1),
            ("file ", 1),
        ] {
            let found = count(&seen, &format!("only after:  {what}"));
            assert!(found >= least, "{what}: {found} of {least}: {seen:#?}");
        }
        assert_eq!(count(&seen, "only before: "), 0, "{seen:#?}");
        agent.end(signal).unwrap();
        // At a terminal it does that itself.
        if signal != Signal::INT {
            let (done, said) = stage.uninstall(&[]).unwrap();
            assert!(done, "{said}");
        }
        residue.assert_none_since(&before);
        objects.wait_until_gone().unwrap();
    }
}

/// The lines with which it says that something is there now, without that.
#[track_caller]
fn only_after(lines: &[String]) -> Vec<&str> {
    let told = lines.iter().map(|line| line.strip_prefix("only after:  "));
    told.collect::<Option<_>>()
        .unwrap_or_else(|| panic!("{lines:#?}"))
}

#[test]
fn what_somebody_leaves_is_told_and_nothing_else() {
    let Some(stage) = stage() else { return };
    let dir = stage.runtime_dir();
    fs::create_dir(&dir).unwrap();
    let residue = Residue::of(&stage);
    let before = residue.snapshot("before");
    let left = Left::on(&stage, &dir);
    let seen = residue.compare(&before, &residue.snapshot("with"));
    let told = only_after(&seen);
    for wanted in left.lines() {
        let found = told.iter().filter(|line| line.starts_with(wanted));
        assert_eq!(found.count(), 1, "{wanted}: {seen:#?}");
    }
    assert_eq!(told.len(), left.lines().count(), "{seen:#?}");
    drop(left);
    residue.assert_none_since(&before);
}

#[test]
fn what_could_not_be_looked_at_is_told_and_is_no_all_clear() {
    let Some(stage) = stage() else { return };
    let dir = stage.runtime_dir();
    fs::create_dir(&dir).unwrap();
    let residue = Residue::of(&stage).without("bpftool");
    let before = residue.snapshot("before");
    let notes = [
        "note bpftool cgroup tree fails: not compared: attachments",
        "note bpftool link show fails: not compared: links",
        "note bpftool map show fails: not compared: maps",
        "note bpftool prog show fails: not compared: programs",
    ]
    .join("\n");
    let (code, said) = residue.run(&["compare", text(&before), text(&before)]);
    let clear = format!("{notes}\nno difference in what could be compared\n");
    assert_eq!((code, said), (Some(3), clear));
    // Nor does it hide a difference, wherever it was.
    fs::create_dir(dir.join("left")).unwrap();
    let with_one = residue.snapshot("with");
    let looking = Residue::of(&stage).snapshot("looking");
    for (one, other, told) in [
        (&before, &with_one, "only after:  "),
        (&before, &looking, "only after:  "),
        (&with_one, &before, "only before: "),
    ] {
        let (code, said) = residue.run(&["compare", text(one), text(other)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with(told), "{said}");
        assert!(said.contains(&format!("{notes}\n")), "{said}");
        assert!(said.ends_with(" differences\n"), "{said}");
    }
}

/// As an operator runs it. Others load programs and mount file systems meanwhile, so that there may be any difference.
#[test]
fn of_a_whole_node_it_sees_more_and_what_an_agent_has_there_too() {
    let Some(stage) = stage() else { return };
    let residue = Residue::of(&stage);
    let _agent = start(&stage, &[]);
    let part = fs::read_to_string(residue.snapshot("part")).unwrap();
    let [first, second] = ["first", "second"].map(|name| stage.scratch().join(name));
    for file in [&first, &second] {
        let (code, said) = residue.run(&["snapshot", text(file)]);
        assert_eq!((code, said.as_str()), (Some(0), ""));
    }
    let whole = fs::read_to_string(&first).unwrap();
    let kinds = [
        "program ",
        "link ",
        "map ",
        "attachment ",
        "pin ",
        "mount ",
        "socket tcp ",
    ];
    for line in part.lines() {
        // The stage's own runtime directory is none that it looks at unless it is told to.
        if kinds.iter().any(|kind| line.starts_with(kind)) {
            assert!(whole.lines().any(|seen| seen == line), "{line}");
        }
    }
    let (code, said) = residue.run(&["compare", text(&first), text(&second)]);
    let last = said.lines().last().unwrap_or_default();
    match code {
        Some(0) => assert_eq!(said, "no difference\n"),
        Some(1) => assert!(last.ends_with(" differences"), "{said}"),
        Some(3) => assert_eq!(last, "no difference in what could be compared"),
        _ => panic!("{code:?}: {said}"),
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
