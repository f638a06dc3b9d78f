//! Programs that somebody has attached before us. Some exclude ours; then the agent says which.

use std::path::PathBuf;

use bpf2iam_kernel::{
    bpftool,
    foreign::{Foreign, Sharing},
};
use bpf2iam_support::stage::Stage;
use rustix::process::Signal;

use crate::scene::{NODE_KEYS, assert_role, attempt, beside, error_of, leaks, pod, stage, start};

/// Where the other program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Kubepods,
    /// The cgroup above.
    Parent,
}

use At::{Kubepods, Parent};

impl At {
    fn cgroup(self, stage: &Stage) -> PathBuf {
        let mut cgroup = stage.node().kubepods();
        if self == Parent {
            cgroup.pop();
        }
        cgroup
    }
}

/// Attaches a program called `neighbour`.
fn attach(stage: &Stage, at: At, sharing: Sharing) -> Foreign {
    let neighbour = Foreign::onlooker("neighbour").unwrap();
    neighbour.attach(&at.cgroup(stage), sharing).unwrap();
    neighbour
}

#[test]
fn a_program_that_excludes_ours_is_named_and_nothing_is_attached() {
    for (at, sharing) in [
        (Kubepods, Sharing::Exclusive),
        (Kubepods, Sharing::Override),
        (Parent, Sharing::Exclusive),
    ] {
        let Some(stage) = stage() else { return };
        let cart = pod(&stage, "cart");
        let _neighbour = attach(&stage, at, sharing);
        let error = error_of(stage.agent(&[]).unwrap());
        let cgroup = at.cgroup(&stage);
        let id = bpftool::attached(&cgroup).unwrap()[0].id;
        let named = format!(
            "the program neighbour (id {id}) is attached to {} so that no other may be.",
            cgroup.display()
        );
        assert!(error.contains(&named), "{error}");
        assert!(error.contains("cannot attach imds_connect4"), "{error}");
        assert!(error.contains("`multi`"), "{error}");
        // Those that were attached before it are not any more.
        let left = bpftool::attached(&stage.node().kubepods()).unwrap();
        assert_eq!(left.len(), usize::from(at == Kubepods), "{left:?}");
        assert!(leaks(&attempt(&stage, &cart.place(), &["get", NODE_KEYS])));
    }
}

#[test]
fn programs_that_leave_room_are_no_obstacle_and_stay() {
    for (at, sharing) in [
        (Kubepods, Sharing::Multi),
        (Parent, Sharing::Multi),
        (Parent, Sharing::Override),
    ] {
        let Some(stage) = stage() else { return };
        let cart = pod(&stage, "cart");
        let _neighbour = attach(&stage, at, sharing);
        let agent = start(&stage, &[]);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        assert!(agent.end(Signal::INT).unwrap().success());
        let left = bpftool::attached(&stage.node().kubepods()).unwrap();
        assert_eq!(left.len(), usize::from(at == Kubepods), "{left:?}");
        assert!(left.iter().all(|one| one.name == "neighbour"), "{left:?}");
    }
}

/// It runs after ours and sees the proxy's address, as Cilium's does at the root.
#[test]
fn a_program_above_does_not_see_the_metadata_address() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let _agent = start(&stage, &[]);
    // The agent is below that program as well; from here on it has the keys that it needs.
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");

    let metadata = "169.254.169.254:80".parse().unwrap();
    let elsewhere = "10.77.0.1:8080".parse().unwrap();
    let above = Foreign::rewriting("above", metadata, elsewhere).unwrap();
    above
        .attach(&Parent.cgroup(&stage), Sharing::Multi)
        .unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    // It does run: this one is beside the pods.
    let report = attempt(&stage, &beside(&stage), &["connect"]);
    assert_eq!(report.status, Some(400), "STS answers: {report:?}");
}
