//! `bpf2iam uninstall`: nothing is left, of whatever version, and the real service answers again.

use std::fs;

use bpf2iam_kernel::objects::Objects;
use bpf2iam_support::stage::Stage;
use rustix::process::Signal;

use crate::{
    footprint::{LINKS, PINS, attached, version, version_of},
    scene::{assert_nobody_listens, exposed, pod, stage, start},
};

/// How many directories a version has: its own, that of the links and that of the maps.
const DIRECTORIES: usize = 3;

/// Runs it, and says what it says.
fn uninstall(stage: &Stage, args: &[&str]) -> String {
    let (done, said) = stage.uninstall(args).unwrap();
    assert!(done, "{said}");
    said
}

#[test]
fn where_there_is_nothing_it_says_so_and_where_an_agent_serves_it_does_nothing() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(done && said.starts_with("nothing is pinned at "), "{said}");
    let _agent = start(&stage, &[]);
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(
        !done && said.contains("an agent serves this node; end it first"),
        "{said}"
    );
    assert_eq!(attached(&stage), LINKS);
    assert!(!exposed(&stage, &cart.place()));
}

#[test]
fn uninstall_takes_everything_away_also_after_a_crash_and_of_other_versions() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    // All that is attached is another version's; then there is something of ours besides.
    for ours in [false, true] {
        let agent = start(&stage, &[]);
        let objects = Objects::of(&agent).unwrap();
        agent.end(Signal::KILL).unwrap();
        fs::rename(version(&stage), version_of(&stage, 4711)).unwrap();
        if ours {
            fs::create_dir_all(version(&stage).join("maps")).unwrap();
        }
        // With the directory of all versions, and the control socket and its directory.
        let all = PINS + DIRECTORIES + 3 + if ours { 2 } else { 0 };
        let would = uninstall(&stage, &["--dry-run"]);
        assert_eq!(would.matches("would remove /").count(), all, "{would}");
        assert_eq!(attached(&stage), LINKS);
        assert_nobody_listens(&stage, &cart);
        assert_eq!(
            uninstall(&stage, &[]),
            would.replace("would remove ", "removed ")
        );
        objects.wait_until_gone().unwrap();
        assert_eq!(attached(&stage), 0);
        assert!(!stage.pin_dir().exists());
        assert!(exposed(&stage, &cart.place()));
    }
}
