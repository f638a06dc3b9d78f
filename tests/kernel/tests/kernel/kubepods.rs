//! The pods' cgroup is removed and made anew, with a pod in it that asks from the first moment: while the agent serves,
//! while it is dead, while another one takes over.
//!
//! The links led to the cgroup that is gone. Until there are others the new one is as open as on a node without us; when
//! there are, a pod gets its own role.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use bpf2iam_kernel::{
    bpftool,
    foreign::{Foreign, Sharing},
    objects::wait_until,
};
use bpf2iam_support::{
    Place, Pod,
    stage::{Agent, Stage},
    steps::{Ruling, Step, Stepper},
};
use rustix::process::Signal;

use crate::{
    footprint::LINKS,
    scene::{
        LOOP_PATIENCE, NODE_KEYS, PATIENCE, attempt, later, leaks, moved, only_error, pod,
        says_ready, stage, start, text,
    },
};

/// A second, and what a slow machine adds.
const OPEN: Duration = Duration::from_millis(2500);

/// A pods' cgroup that can be made anew, and a pod in it.
struct Scene {
    stage: Stage,
    _cart: Pod,
    kubepods: PathBuf,
    place: Place,
}

impl Scene {
    fn new() -> Option<Self> {
        let stage = stage()?;
        let cart = pod(&stage, "cart");
        let kubepods = later(&stage);
        let place = cart.place().with_cgroup(moved(&stage, &cart, &kubepods));
        fs::create_dir_all(place.cgroup()).unwrap();
        Some(Self {
            stage,
            _cart: cart,
            kubepods,
            place,
        })
    }

    fn args(&self) -> [&str; 2] {
        ["--kubepods", text(&self.kubepods)]
    }

    fn make_anew(&self) {
        let inside = self.place.cgroup().ancestors();
        for cgroup in inside.take_while(|path| path.starts_with(&self.kubepods)) {
            fs::remove_dir(cgroup).unwrap();
        }
        fs::create_dir_all(self.place.cgroup()).unwrap();
    }

    /// Asks until the pod gets its role, and from then on nothing else. Says for how long it was the real service that
    /// answered.
    fn open(&self) -> Duration {
        let begun = Instant::now();
        let mut open = Duration::ZERO;
        loop {
            let report = attempt(&self.stage, &self.place, &["connect"]);
            match report.body.as_deref() {
                Some("cart") => break,
                Some("node-role") => open = begun.elapsed(),
                _ => assert_ne!(report.status, Some(200), "{report:?}"),
            }
            assert!(begun.elapsed() < PATIENCE, "{report:?}");
        }
        for _ in 0..20 {
            let report = attempt(&self.stage, &self.place, &["connect"]);
            assert_eq!(report.body.as_deref(), Some("cart"), "{report:?}");
        }
        assert_eq!(bpftool::attached(&self.kubepods).unwrap().len(), LINKS);
        open
    }
}

#[test]
fn while_an_agent_serves_it_is_attached_within_a_second() {
    let Some(scene) = Scene::new() else { return };
    let _agent = start(&scene.stage, &scene.args());
    for _ in 0..2 {
        scene.make_anew();
        let open = scene.open();
        println!("open for {open:?}");
        assert!(open < OPEN, "open for {open:?}");
    }
}

#[test]
fn while_no_agent_lives_the_next_one_attaches_to_the_new_cgroup() {
    let Some(scene) = Scene::new() else { return };
    start(&scene.stage, &scene.args())
        .end(Signal::KILL)
        .unwrap();
    scene.make_anew();
    let agent = scene.stage.start_agent(&scene.args()).unwrap();
    assert_eq!(scene.open(), Duration::ZERO);
    assert!(agent.stop().unwrap().success());
}

#[test]
fn while_another_agent_starts_the_one_that_serves_attaches_anew() {
    let Some(scene) = Scene::new() else { return };
    let old = start(&scene.stage, &scene.args());
    let hold = |step: &Step| match step.call() {
        "bpf map-update" => Ruling::Hold,
        _ => Ruling::GoOn,
    };
    let new = scene.stage.agent(&scene.args()).unwrap();
    let (new, stepper) = Stepper::spawn("bpf2iam", new, hold).unwrap();
    assert!(stepper.held(LOOP_PATIENCE).is_some());
    scene.make_anew();
    let open = scene.open();
    assert!(open < OPEN, "open for {open:?}");
    stepper.release();
    let new = Agent::ready(new, &scene.stage).unwrap();
    assert_eq!(scene.open(), Duration::ZERO);
    assert!(old.stop().unwrap().success());
    drop(new);
}

/// Either it finds that a link is severed, and ends: then the old one, which still serves, sees to the rest. Or it is
/// through before the kernel has done that, and sees to it itself.
#[test]
fn while_another_agent_updates_the_links_one_of_them_attaches_them_anew() {
    let Some(scene) = Scene::new() else { return };
    let old = start(&scene.stage, &scene.args());
    let hold = |step: &Step| match step.call() {
        "bpf link-update" => Ruling::Hold,
        _ => Ruling::GoOn,
    };
    let new = scene.stage.agent(&scene.args()).unwrap();
    let (mut new, stepper) = Stepper::spawn("bpf2iam", new, hold).unwrap();
    assert!(stepper.held(LOOP_PATIENCE).is_some());
    scene.make_anew();
    stepper.release();
    let open = scene.open();
    assert!(open < OPEN, "open for {open:?}");
    let decided = || Ok(stepper.has_ended() || says_ready(&new));
    assert!(wait_until(LOOP_PATIENCE, decided).unwrap());
    if stepper.has_ended() {
        let error = only_error(&mut new);
        let gone = ["Link has been severed", "cannot attach imds_"];
        assert!(gone.iter().any(|why| error.contains(why)), "{error}");
        assert_eq!(scene.open(), Duration::ZERO);
        assert!(old.stop().unwrap().success());
    } else {
        // It serves, also without the old one.
        assert!(old.stop().unwrap().success());
        assert_eq!(scene.open(), Duration::ZERO);
        assert!(new.stop().unwrap().success());
    }
}

/// One of connect4 is refused by somebody's program there. The others stop what it would have redirected.
#[test]
fn where_one_program_cannot_be_attached_the_others_are_and_the_agent_is_not_ready() {
    let Some(scene) = Scene::new() else { return };
    let agent = start(&scene.stage, &scene.args());
    agent.process().signal(Signal::STOP).unwrap();
    scene.make_anew();
    let neighbour = Foreign::onlooker("neighbour").unwrap();
    neighbour
        .attach(&scene.kubepods, Sharing::Exclusive)
        .unwrap();
    agent.process().signal(Signal::CONT).unwrap();
    let ours = || {
        let all = bpftool::attached(&scene.kubepods).unwrap();
        all.iter().filter(|one| one.name != "neighbour").count()
    };
    assert!(wait_until(PATIENCE, || Ok(ours() == LINKS - 1)).unwrap());
    let ready = || scene.stage.admin("/readyz").unwrap().trim() == "ready";
    assert!(wait_until(PATIENCE, || Ok(!ready())).unwrap());
    let report = attempt(&scene.stage, &scene.place, &["get", NODE_KEYS]);
    assert!(!report.answered() && !leaks(&report), "{report:?}");
    // They stay, however often it is tried.
    thread::sleep(OPEN);
    assert_eq!(ours(), LINKS - 1);
    drop(neighbour);
    scene.make_anew();
    scene.open();
    assert!(wait_until(PATIENCE, || Ok(ready())).unwrap());
}
