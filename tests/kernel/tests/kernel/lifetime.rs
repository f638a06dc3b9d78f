//! The agent begins, ends, is killed, is replaced: what pods get meanwhile, and what is left on the node.
//!
//! Never the node's keys, as long as anything of ours is attached.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use bpf2iam_kernel::{
    bpftool,
    objects::{Objects, wait_until},
};
use bpf2iam_support::{
    Place, Pod,
    client::{Report, Tally, reported},
    process::Process,
    stage::{Agent, Stage},
};
use rustix::process::Signal;

use crate::scene::{
    DISPLACED, LIST, LOOP_PATIENCE, NODE_KEYS, PATIENCE, assert_refused, assert_role, attempt,
    error_of, host_pod, leaks, pod, stage, start, text, wait_for_record,
};

/// How many links there are.
const LINKS: usize = 8;
/// How many pins.
const PINS: usize = 16;

/// How many of our programs are attached.
fn attached(stage: &Stage) -> usize {
    let all = bpftool::attached(&stage.node().kubepods()).unwrap();
    all.iter()
        .filter(|one| one.name.starts_with("imds_"))
        .count()
}

/// Whether the node's keys are to be had from `place`.
fn exposed(stage: &Stage, place: &Place) -> bool {
    leaks(&attempt(stage, place, &["get", NODE_KEYS]))
}

/// A pod connects, and nobody is there.
#[track_caller]
fn assert_closed_door(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["get", NODE_KEYS]);
    assert_refused(&report, "ECONNREFUSED", "connect");
}

/// A successor of the agent that serves, once it is ready.
fn succeed(stage: &Stage) -> Agent {
    let agent = stage.agent(&["--listen-port", "8181"]).unwrap();
    let process = Process::spawn("bpf2iam", agent).unwrap();
    Agent::ready(process, stage).unwrap()
}

#[test]
fn when_it_is_killed_or_stopped_pods_are_refused_until_the_next_one_serves() {
    let Some(stage) = stage() else { return };
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    for signal in [Signal::KILL, Signal::TERM, Signal::KILL] {
        let agent = start(&stage, &[]);
        for pod in &pods {
            assert_role(
                &attempt(&stage, &pod.place(), &["connect"]),
                &pod.spec().name,
            );
        }
        let ended = agent.end(signal).unwrap();
        assert_eq!(ended.success(), signal == Signal::TERM, "{ended}");
        assert_eq!(attached(&stage), LINKS);
        for pod in &pods {
            assert_closed_door(&stage, pod);
        }
    }
}

#[test]
fn somebody_at_a_terminal_ends_all_of_it() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    assert!(
        exposed(&stage, &cart.place()),
        "there is nothing to protect"
    );
    let agent = start(&stage, &[]);
    let objects = Objects::of(&agent).unwrap();
    let [programs, links, maps] = objects.count();
    assert_eq!((programs, links), (LINKS, LINKS), "{objects:?}");
    assert!(maps >= 7, "{objects:?}");
    assert!(!exposed(&stage, &cart.place()));
    assert!(agent.end(Signal::INT).unwrap().success());
    objects.wait_until_gone().unwrap();
    assert_eq!(attached(&stage), 0);
    assert!(!stage.pin_dir().exists());
    assert!(exposed(&stage, &cart.place()));
}

#[test]
fn an_expired_lease_refuses_or_lets_pass_as_it_was_wanted() {
    for (when_gone, passes) in [("deny", false), ("allow", true)] {
        let Some(stage) = stage() else { return };
        let cart = pod(&stage, "cart");
        let agent = start(&stage, &["--lease", "1s", "--when-agent-gone", when_gone]);
        // It is renewed.
        thread::sleep(Duration::from_millis(2500));
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        agent.end(Signal::KILL).unwrap();
        assert_closed_door(&stage, &cart);
        thread::sleep(Duration::from_millis(1200));
        let report = attempt(&stage, &cart.place(), &["get", NODE_KEYS]);
        if passes {
            assert!(leaks(&report), "{report:?}");
        } else {
            assert_refused(&report, "EPERM", "connect");
        }
        let _agent = start(&stage, &[]);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    }
}

/// For how long pods ask while agents take over, in seconds: longer than that takes.
const LOAD: u64 = 40;

#[test]
fn a_successor_takes_over_while_pods_ask_and_none_of_them_notices() {
    let Some(stage) = stage() else { return };
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    // Even where the port is given: the successor takes another one.
    let mut agent = start(&stage, &["--listen-port", "8181"]);
    let (begun, seconds) = (Instant::now(), LOAD.to_string());
    let asking = pods.each_ref().map(|pod| {
        let (name, load) = (&pod.spec().name, ["load", "--threads", "4", "--path", LIST]);
        let args = [&load[..], &["--seconds", &seconds, "--expect", name]].concat();
        stage.client().start(&pod.place(), &args).unwrap()
    });
    for _ in 0..2 {
        let next = succeed(&stage);
        wait_for_record(agent.process(), DISPLACED, |_| true);
        assert!(agent.stop().unwrap().success());
        assert_eq!(attached(&stage), LINKS);
        agent = next;
    }
    wait_for_record(agent.process(), "the agent before us has ended", |_| true);
    assert!(begun.elapsed().as_secs() < LOAD, "nobody asked at the end");
    for load in asking {
        let tally: Tally = reported(&load, LOOP_PATIENCE).unwrap();
        assert!(tally.ok > 1000 && tally.ok == tally.total(), "{tally:?}");
    }
}

#[test]
fn a_successor_that_is_interrupted_before_it_serves_takes_nothing_away() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    // It waits for keys, which it does not get.
    let hang = serde_json::json!([{ "do": { "fault": "hang" } }]);
    stage.set_sts_rules(&hang).unwrap();
    let mut next = Process::spawn("bpf2iam", stage.agent(&[]).unwrap()).unwrap();
    next.wait_for_line(|line| line.contains("\"starting\""), PATIENCE)
        .unwrap();
    thread::sleep(Duration::from_secs(2));
    next.signal(Signal::INT).unwrap();
    let ended = next.wait(PATIENCE).unwrap();
    assert!(ended.success(), "{:#?}", next.lines());
    assert_eq!(attached(&stage), LINKS);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    assert!(agent.logged(DISPLACED).is_empty());
}

#[test]
fn of_two_agents_that_start_at_once_one_serves_and_the_other_stands_by() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let [first, second] =
        [(); 2].map(|()| Process::spawn("bpf2iam", stage.agent(&[]).unwrap()).unwrap());
    let both = [&first, &second];
    for agent in both {
        wait_for_record(agent, "ready", |_| true);
    }
    let displaced = || {
        let said = |agent: &Process| agent.lines().iter().any(|line| line.contains(DISPLACED));
        Ok(both.into_iter().filter(|agent| said(agent)).count() == 1)
    };
    assert!(wait_until(PATIENCE, displaced).unwrap());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    for agent in [first, second] {
        assert!(agent.stop().unwrap().success());
    }
    assert_closed_door(&stage, &cart);
}

/// A token of the pod's own.
fn token_of(stage: &Stage, pod: &Pod) -> String {
    let header = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
    let ask = [
        "get",
        "/latest/api/token",
        "--method",
        "PUT",
        "--header",
        header,
    ];
    attempt(stage, &pod.place(), &ask).body.unwrap()
}

/// What the pod is told with it.
fn with_token(stage: &Stage, pod: &Pod, token: &str) -> Report {
    let header = format!("X-aws-ec2-metadata-token: {token}");
    attempt(stage, &pod.place(), &["get", LIST, "--header", &header])
}

#[test]
fn a_token_of_the_old_agent_is_good_at_the_new_one() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &["--imds-tokens", "required"]);
    let token = token_of(&stage, &cart);
    let redirected = agent.kernel_total("redirected").unwrap();
    agent.end(Signal::KILL).unwrap();
    let agent = start(&stage, &["--imds-tokens", "required"]);
    assert_role(&with_token(&stage, &cart, &token), "cart");
    // What the programs counted is not lost either.
    assert!(agent.kernel_total("redirected").unwrap() > redirected);
}

#[test]
fn what_another_version_has_attached_is_superseded_and_its_tokens_stay_good() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &["--imds-tokens", "required"]);
    let token = token_of(&stage, &cart);
    agent.end(Signal::KILL).unwrap();
    // As if the layout of its maps had another number.
    fs::rename(stage.pin_dir().join("1"), stage.pin_dir().join("7")).unwrap();
    assert_closed_door(&stage, &cart);
    let _agent = start(&stage, &["--imds-tokens", "required"]);
    assert_role(&with_token(&stage, &cart, &token), "cart");
    assert_eq!(attached(&stage), LINKS);
    assert!(!stage.pin_dir().join("7").exists());
}

#[test]
fn an_agent_whose_pins_are_taken_away_ends_to_be_started_anew() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    for name in fs::read_dir(stage.pin_dir().join("1").join("links")).unwrap() {
        fs::remove_file(name.unwrap().path()).unwrap();
    }
    let says = |line: &str| line.contains("the programs were taken away by another hand");
    agent.process().wait_for_line(says, PATIENCE).unwrap();
    drop(agent);
    let _agent = start(&stage, &[]);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    assert_eq!(attached(&stage), LINKS);
}

#[test]
fn uninstall_takes_everything_away_also_after_a_crash_and_of_other_versions() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(done && said.starts_with("nothing is pinned at "), "{said}");

    let agent = start(&stage, &[]);
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(
        !done && said.contains("an agent serves this node; end it first"),
        "{said}"
    );
    let objects = Objects::of(&agent).unwrap();
    agent.end(Signal::KILL).unwrap();
    let foreign = stage.pin_dir().join("4711").join("maps");
    fs::create_dir_all(&foreign).unwrap();

    let (done, said) = stage.uninstall(&["--dry-run"]).unwrap();
    assert!(done, "{said}");
    assert_eq!(
        said.lines()
            .filter(|line| line.starts_with("would remove "))
            .count(),
        PINS + 2
    );
    assert_closed_door(&stage, &cart);
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(done, "{said}");
    assert_eq!(
        said.lines()
            .filter(|line| line.starts_with("removed "))
            .count(),
        PINS + 2
    );
    objects.wait_until_gone().unwrap();
    assert_eq!(attached(&stage), 0);
    assert!(!stage.pin_dir().exists());
    assert!(exposed(&stage, &cart.place()));
}

#[test]
fn a_pin_that_is_not_ours_is_named_and_left() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    agent.end(Signal::KILL).unwrap();
    let maps = stage.pin_dir().join("1").join("maps");
    let (ours, aside) = (maps.join("IMDS_LEASE"), maps.join("aside"));
    fs::rename(&ours, &aside).unwrap();
    fs::rename(maps.join("IMDS_CONNS"), &ours).unwrap();
    let error = error_of(stage.agent(&[]).unwrap());
    assert!(error.contains(text(&ours)), "{error}");
    assert!(
        error.contains("is not ours: the map has the type 9"),
        "{error}"
    );
    assert!(ours.exists());
    assert_eq!(attached(&stage), LINKS);
}

#[test]
fn pins_need_a_bpf_file_system() {
    let Some(stage) = stage() else { return };
    let error = error_of(stage.agent(&["--pin-dir", "/run/bpf2iam-no-pins"]).unwrap());
    assert!(
        error.contains("/run/bpf2iam-no-pins is on no bpf file system (--pin-dir)"),
        "{error}"
    );
    assert!(error.contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
    assert_eq!(attached(&stage), 0);
}

#[test]
fn the_bpf_file_system_itself_is_left_to_others() {
    let Some(stage) = stage() else { return };
    let mount = stage.pin_dir().parent().unwrap().to_owned();
    let error = error_of(stage.agent(&["--pin-dir", text(&mount)]).unwrap());
    let says = format!(
        "{} is where the bpf file system is mounted (--pin-dir)",
        mount.display()
    );
    assert!(error.contains(&says), "{error}");
    assert!(!mount.join("1").exists());
}

#[test]
fn an_agent_that_cannot_start_leaves_nothing_behind() {
    let Some(stage) = stage() else { return };
    // STS listens there.
    error_of(stage.agent(&["--listen-port", "8080"]).unwrap());
    assert!(!stage.pin_dir().exists());
    assert_eq!(attached(&stage), 0);
}
