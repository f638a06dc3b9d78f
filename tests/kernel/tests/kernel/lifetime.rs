//! The agent begins, ends and is killed: what pods get meanwhile, and what is left on the node.
//!
//! Never the node's keys, as long as anything of ours is attached.

use std::{thread, time::Duration};

use bpf2iam_kernel::objects::{Objects, wait_until};
use bpf2iam_support::{Pod, stage::Stage};
use rustix::process::Signal;

use crate::{
    footprint::{LINKS, MAPS, attached},
    scene::{
        NODE_KEYS, PATIENCE, assert_nobody_listens, assert_refused, assert_role, attempt, exposed,
        host_pod, leaks, pod, stage, start,
    },
};

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
            assert_nobody_listens(&stage, pod);
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
    assert!(maps >= MAPS, "{objects:?}");
    assert!(objects.map("IMDS_TOKEN_KEY").is_ok(), "{objects:?}");
    assert!(!exposed(&stage, &cart.place()));
    assert!(agent.end(Signal::INT).unwrap().success());
    objects.wait_until_gone().unwrap();
    assert_eq!(attached(&stage), 0);
    assert!(!stage.pin_dir().exists());
    assert!(exposed(&stage, &cart.place()));
}

/// Long enough for a slow machine to ask before it has expired.
const LEASE: &str = "4s";
const LONGER: Duration = Duration::from_secs(5);

#[test]
fn an_expired_lease_refuses_or_lets_pass_as_it_was_wanted() {
    for (when_gone, passes) in [("deny", false), ("allow", true)] {
        let Some(stage) = stage() else { return };
        let cart = pod(&stage, "cart");
        let agent = start(&stage, &["--lease", LEASE, "--when-agent-gone", when_gone]);
        // It is renewed.
        thread::sleep(LONGER);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        agent.end(Signal::KILL).unwrap();
        assert_nobody_listens(&stage, &cart);
        wait_until_expired(&stage, &cart);
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

/// Until then nobody listens.
fn wait_until_expired(stage: &Stage, pod: &Pod) {
    let expired = || {
        let report = attempt(stage, &pod.place(), &["get", NODE_KEYS]);
        Ok(report.error.as_deref() != Some("ECONNREFUSED"))
    };
    assert!(wait_until(PATIENCE, expired).unwrap());
}
