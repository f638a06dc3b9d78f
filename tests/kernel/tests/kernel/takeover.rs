//! An agent takes over from one that serves, or from what that has left: pods notice nothing, and what they have stays good.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use bpf2iam_support::{
    process::Process,
    siege::{Outcome, Seen, Siege},
    stage::Agent,
};
use rustix::process::Signal;

use crate::{
    footprint::{LINKS, attached, version, version_of},
    scene::{
        ALONE, DISPLACED, PATIENCE, assert_nobody_listens, assert_role, attempt, host_pod, pod,
        stage, start, token_of, wait_for_record, with_token,
    },
};

/// Each link by the name of its program, and the program that it runs now.
fn links_and_programs(agent: &Agent) -> BTreeMap<String, [u64; 2]> {
    let status = agent.status().unwrap();
    let programs = status["programs"].as_array().unwrap().iter();
    let ids = programs.map(|program| {
        let id = |of: &str| program[of].as_u64().unwrap();
        let name = program["name"].as_str().unwrap();
        (name.to_owned(), [id("link_id"), id("program_id")])
    });
    ids.collect()
}

/// The links are the same ones, and run other programs.
#[track_caller]
fn assert_updated_in_place(before: &Agent, after: impl FnOnce() -> Agent) -> Agent {
    let old = links_and_programs(before);
    let agent = after();
    let new = links_and_programs(&agent);
    assert_eq!((old.len(), new.len()), (LINKS, LINKS));
    for (name, [link, program]) in old {
        assert_eq!(new[&name][0], link, "the link of {name}");
        assert_ne!(new[&name][1], program, "the program {name}");
    }
    agent
}

/// Somebody asked all the time, and nobody noticed anything.
#[track_caller]
pub(crate) fn assert_unnoticed(seen: &Seen) {
    assert!(seen.count(Outcome::Own) > 200, "{}", seen.summary());
    assert_eq!(seen.count(Outcome::Own), seen.total(), "{}", seen.summary());
}

#[test]
fn a_successor_takes_over_while_pods_ask_and_none_of_them_notices() {
    let Some(stage) = stage() else { return };
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    // Even where the port is given: the successor takes another one.
    let port = ["--listen-port", "8181"];
    let mut agent = start(&stage, &port);
    let asking = pods
        .each_ref()
        .map(|pod| Siege::begin(&stage, pod).unwrap());
    for _ in 0..2 {
        let next = assert_updated_in_place(&agent, || stage.start_agent(&port).unwrap());
        wait_for_record(agent.process(), DISPLACED, |_| true);
        assert!(agent.stop().unwrap().success());
        assert_eq!(attached(&stage), LINKS);
        agent = next;
    }
    wait_for_record(agent.process(), ALONE, |_| true);
    for siege in asking {
        assert_unnoticed(&siege.end().unwrap());
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
    let other = version_of(&stage, 7);
    fs::rename(version(&stage), &other).unwrap();
    assert_nobody_listens(&stage, &cart);
    let _agent = start(&stage, &["--imds-tokens", "required"]);
    assert_role(&with_token(&stage, &cart, &token), "cart");
    assert_eq!(attached(&stage), LINKS);
    assert!(!other.exists());
}
