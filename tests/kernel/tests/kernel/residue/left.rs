//! What somebody may leave on a node, one of each kind.

use std::path::Path;

use bpf2iam_support::{
    process::{Process, output},
    stage::Stage,
};

use crate::scene::{PATIENCE, run, text};

/// How it is made, how it is taken away, and how the lines begin that tell of it.
struct Kind {
    make: String,
    take_away: String,
    lines: Vec<String>,
}

/// All of it. It is gone on drop.
pub(super) struct Left<'a> {
    stage: &'a Stage,
    kinds: Vec<Kind>,
    _listener: Process,
}

impl<'a> Left<'a> {
    /// Leaves it; files in `dir`.
    pub(super) fn on(stage: &'a Stage, dir: &Path) -> Self {
        let left = Self {
            stage,
            kinds: kinds(stage, dir),
            _listener: listener(stage),
        };
        for kind in &left.kinds {
            run(&stage.node().host(), "sh", &["-ec", &kind.make]);
        }
        left
    }

    /// The beginnings of the lines that tell of it.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        let all = self.kinds.iter().flat_map(|kind| &kind.lines);
        all.map(String::as_str).chain(["socket tcp 10.77.0.1:7777"])
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        for kind in &self.kinds {
            let mut sh = self.stage.node().host().command("sh").unwrap();
            let _made_or_not = output(sh.args(["-ec", &kind.take_away]), PATIENCE).is_ok();
        }
    }
}

fn listener(stage: &Stage) -> Process {
    let program = &stage.programs().imds;
    let mut listener = stage.node().host().command(program).unwrap();
    listener.args(["--listen", "10.77.0.1:7777"]);
    let listener = Process::spawn("imds-standin", listener).unwrap();
    let ready = listener.wait_for_line(|line| line.contains("ready"), PATIENCE);
    ready.unwrap();
    listener
}

fn kinds(stage: &Stage, dir: &Path) -> Vec<Kind> {
    let host = stage.node().host();
    let (tree, pins) = (host.cgroup().parent().unwrap(), stage.pin_dir());
    let (tree, dir, bpffs) = (text(tree), text(dir), text(pins.parent().unwrap()));
    let kind = |make: String, take_away: String, lines: &[&str]| Kind {
        make,
        take_away,
        lines: lines.iter().copied().map(str::to_owned).collect(),
    };
    let ip = |object: &str, what: &str, lines: &[&str]| {
        let of = |verb: &str| format!("ip {object} {verb} {what}");
        kind(of("add"), of("del"), lines)
    };
    vec![
        ip(
            "address",
            "198.51.100.1/32 dev lo",
            &[
                "address lo inet 198.51.100.1/32 ",
                "route local 198.51.100.1 ",
            ],
        ),
        ip(
            "route",
            "blackhole 203.0.113.0/24",
            &["route blackhole 203.0.113.0/24"],
        ),
        ip(
            "rule",
            "priority 99 from 203.0.113.1 lookup main",
            &["rule 99: from 203.0.113.1 lookup main"],
        ),
        kind(
            "nft add table inet left".into(),
            "nft delete table inet left".into(),
            &["nft table inet left {", "nft }"],
        ),
        kind(
            format!("mkdir {dir}/mounted; mount -t tmpfs left {dir}/mounted"),
            format!("umount {dir}/mounted; rmdir {dir}/mounted"),
            &[
                &format!("mount {dir}/mounted tmpfs /"),
                &format!("file {dir}/mounted d"),
            ],
        ),
        kind(
            format!("mkdir {tree}/bpf2iam-left"),
            format!("rmdir {tree}/bpf2iam-left"),
            &[&format!("cgroup {tree}/bpf2iam-left")],
        ),
        kind(
            format!("echo left >{dir}/left"),
            format!("rm {dir}/left"),
            &[&format!("file {dir}/left -")],
        ),
        kind(
            format!("bpftool map create {bpffs}/left type array key 4 value 4 entries 1 name left"),
            format!("rm {bpffs}/left"),
            &[
                "map array name left key 4B value 4B max_entries 1 ",
                &format!("pin {bpffs}/left "),
            ],
        ),
    ]
}
