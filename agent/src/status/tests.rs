use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    creds::{self, Credentials, Derived, Identity, Secret, SourceError, State},
    id::{Excerpt, InvalidRole, PodRef, RoleArn},
    pods::{
        self,
        binding::{Binding, Rule},
    },
};

use super::*;

const NOW: &str = "2026-01-01T02:05:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn pod(name: &str, digit: char) -> pods::Pod {
    let uid = digit.to_string().repeat(32).parse().unwrap();
    pods::Pod::new(uid, PodRef::new("shop", name))
}

fn role(name: &str) -> RoleArn {
    format!("arn:aws:iam::123456789012:role/{name}")
        .parse()
        .unwrap()
}

fn bound(name: &str, rule: Rule) -> Binding {
    let identity = Identity::new(role(name), "session");
    Binding::Role(identity, rule)
}

/// An identity that is as it should be.
fn held(state: State) -> creds::Status {
    creds::Status {
        identity: Identity::new(role("any"), "session"),
        failure: match &state {
            State::Failed(error) => Some(Arc::clone(error)),
            State::Ready(_) | State::Fetching => None,
        },
        state,
        failures: 0,
        next: Some(at("2026-01-01T02:15:00Z")),
    }
}

fn keys(state: State) -> Keys {
    Keys::from(&held(state))
}

fn ready(expires: &str) -> State {
    State::Ready(Arc::new(Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new("the-secret-key"),
        session_token: Secret::new("the-token"),
        issued: at("2026-01-01T01:48:00Z"),
        expires: at(expires),
        document: Derived::default(),
    }))
}

fn denied(name: &str) -> State {
    State::Failed(Arc::new(SourceError::Denied {
        role: role(name),
        code: "AccessDenied".to_owned(),
        message: "not\nauthorized\u{1b}[2J".to_owned(),
    }))
}

fn kernel() -> Kernel {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Kernel {
        serving: Serving::Yes,
        abi: 1,
        pin_dir: "/sys/fs/bpf/bpf2iam/1".into(),
        pins: Pins {
            links: names(&["imds_connect4", "imds_getpeer4"]),
            maps: names(&["IMDS_CONNS", "IMDS_LEASE", "IMDS_SOCKETS"]),
        },
        lease: Lease {
            length_ms: 10_000,
            left_ms: Some(9_312),
            when_agent_gone: "deny".to_owned(),
        },
        exempt: Exempt {
            agents: vec![900],
            pods: vec![4711, 4712],
        },
    }
}

/// An agent in which everything occurs.
pub(crate) fn example() -> Status {
    let invalid = Binding::Invalid(
        Rule::Annotation,
        InvalidRole::NoBase(Excerpt::of("red")).into(),
    );
    let pods = vec![
        Pod::new(
            &pod("web", 'a'),
            &bound("web", Rule::Annotation),
            Some(keys(ready("2026-01-01T02:48:00Z"))),
        ),
        Pod::new(&pod("cart", 'b'), &bound("default", Rule::Default), None),
        Pod::new(
            &pod("old", 'c'),
            &bound("old", Rule::Annotation),
            Some(keys(ready(NOW))),
        ),
        Pod::new(
            &pod("pay", 'd'),
            &bound("pay", Rule::Annotation),
            Some(keys(denied("pay"))),
        ),
        Pod::new(&pod("plain", 'e'), &Binding::Nothing(None), None),
        Pod::new(&pod("typo", 'f'), &invalid, None),
        Pod::new(
            &pods::Pod {
                name: PodRef::new("kube-system", "proxy"),
                ..pod("proxy", '0')
            },
            &Binding::Node(Rule::NodeRole),
            None,
        ),
    ];
    let program = |name: &str, id| Program {
        name: name.to_owned(),
        kind: format!("cgroup_{name}"),
        attach_point: "/sys/fs/cgroup/kubepods.slice".into(),
        program_id: id,
        link_id: id + 100,
    };
    let count = |name: &str, count| (name.to_owned(), count);
    Status {
        version: "0.1.0".to_owned(),
        node: "node-1".to_owned(),
        pid: 4711,
        since: at("2026-01-01T00:00:00Z"),
        pending: Vec::new(),
        listeners: vec![
            "10.0.0.7:41234".parse().unwrap(),
            "[fd00::7]:41234".parse().unwrap(),
        ],
        kubepods: Some("/sys/fs/cgroup/kubepods.slice".into()),
        kernel: Some(kernel()),
        programs: vec![program("connect4", 7), program("getpeername4", 18)],
        pods,
        counters: Counters {
            kernel: [
                count("connect_redirected", 12_345),
                count("send_refused", 0),
            ]
            .into(),
            agent: [count("requests", 42)].into(),
        },
    }
}

/// The page for people; the lines are as long as they are.
const TEXT: &str = include_str!("example.txt");

#[test]
fn people_get_tables() {
    assert_eq!(example().to_text(at(NOW), Colour::Off), TEXT);
}

#[test]
fn colours_change_nothing_but_colours() {
    let coloured = example().to_text(at(NOW), Colour::On);
    for painted in [
        "\x1b[1mbpf2iam 0.1.0 on node-1\x1b[0m",
        "\x1b[32mready\x1b[0m",
        "\x1b[33mfetching\x1b[0m",
    ] {
        assert!(coloured.contains(painted), "{coloured}");
    }
    let codes = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
    let plain = codes
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(
        plain, TEXT,
        "and nothing that came from outside moves the cursor"
    );
}

#[test]
fn an_agent_that_has_just_begun_has_little_to_say() {
    let status = Status {
        pending: vec!["kubepods".to_owned(), "pods".to_owned()],
        listeners: Vec::new(),
        kubepods: None,
        kernel: None,
        programs: Vec::new(),
        pods: Vec::new(),
        counters: Counters::default(),
        ..example()
    };
    assert_eq!(
        status.to_text(status.since, Colour::Off),
        "bpf2iam 0.1.0 on node-1, waiting for kubepods, pods, up 0s\n\
         agent      pid 4711\n\
         listeners  -\n\
         kubepods   not found yet\n\n\
         no programs are attached\n\n\
         no pods on this node\n"
    );
}

#[test]
fn people_see_whose_the_programs_are_and_for_how_long_they_go_on() {
    for (serving, left_ms, agent, lease) in [
        (Serving::Yes, Some(999), "serving", "10s, 0.9s left"),
        (
            Serving::Waiting,
            None,
            "waiting to take over",
            "10s, not begun",
        ),
        (
            Serving::Displaced,
            Some(0),
            "displaced by another agent",
            "10s, expired",
        ),
    ] {
        let mut kernel = Kernel {
            serving,
            ..kernel()
        };
        kernel.lease.left_ms = left_ms;
        let status = Status {
            kernel: Some(kernel),
            ..example()
        };
        let text = status.to_text(at(NOW), Colour::Off);
        let line = |line: &str| text.lines().any(|one| one == line);
        assert!(line(&format!("agent      pid 4711, {agent}")), "{text}");
        let lease = format!("lease      {lease}, --when-agent-gone deny");
        assert!(line(&lease), "{text}");
        assert!(line("exempt     agents 900, pods 4711 4712"), "{text}");
    }
}

#[test]
fn programs_get_flat_objects() {
    let json: Value = serde_json::from_str(&example().to_json().unwrap()).unwrap();
    let web = json!({
        "namespace": "shop", "name": "web", "uid": "a".repeat(32),
        "role": "arn:aws:iam::123456789012:role/web", "rule": "annotation",
        "state": "ready", "access_key_id": "ASIAEXAMPLE",
        "refreshed": "2026-01-01T01:48:00Z", "expires": "2026-01-01T02:48:00Z",
        "next": "2026-01-01T02:15:00Z",
    });
    let plain = json!({
        "namespace": "shop", "name": "plain", "uid": "e".repeat(32),
        "reason": "nothing names a role for it",
    });
    assert_eq!(json["pods"][0], web);
    assert_eq!(json["pods"][1]["state"], "fetching");
    assert_eq!(json["pods"][3]["state"], "failed");
    let message = json["pods"][3]["message"].as_str().unwrap();
    assert!(message.starts_with("STS refuses"), "{message}");
    assert_eq!(json["pods"][4], plain);
    let proxy = json!({
        "namespace": "kube-system", "name": "proxy", "uid": "0".repeat(32),
        "identity": "node", "rule": "node_role",
    });
    assert_eq!(json["pods"][6], proxy);
    assert_eq!(json["programs"][0]["type"], "cgroup_connect4");
    assert_eq!(json["counters"]["kernel"]["connect_redirected"], 12_345);
    assert_eq!(json["listeners"][1], "[fd00::7]:41234");
    let kernel = json!({
        "serving": "yes", "abi": 1, "pin_dir": "/sys/fs/bpf/bpf2iam/1",
        "pins": {
            "links": ["imds_connect4", "imds_getpeer4"],
            "maps": ["IMDS_CONNS", "IMDS_LEASE", "IMDS_SOCKETS"],
        },
        "lease": {"length_ms": 10_000, "left_ms": 9_312, "when_agent_gone": "deny"},
        "exempt": {"agents": [900], "pods": [4711, 4712]},
    });
    assert_eq!(json["kernel"], kernel);
    assert_eq!(json["pid"], 4711);
}

#[test]
fn what_programs_get_reads_back_to_the_same() {
    let json = example().to_json().unwrap();
    assert!(json.ends_with("}\n"));
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), example());
}

#[test]
fn of_the_keys_programs_are_told_the_id_and_people_nothing() {
    let (json, text) = (
        example().to_json().unwrap(),
        example().to_text(at(NOW), Colour::Off),
    );
    let debug = format!("{:?}", example());
    for secret in ["the-secret-key", "the-token"] {
        let told = [&json, &text, &debug];
        assert!(!told.iter().any(|told| told.contains(secret)), "{secret}");
    }
    assert!(json.contains("ASIAEXAMPLE") && !text.contains("ASIAEXAMPLE"));
}

#[test]
fn a_renewal_that_fails_shows_while_the_keys_are_valid() {
    let State::Failed(failure) = denied("web") else {
        panic!("not denied");
    };
    let status = creds::Status {
        failure: Some(failure),
        failures: 3,
        ..held(ready("2026-01-01T02:48:00Z"))
    };
    let pod = Pod::new(
        &pod("web", 'a'),
        &bound("web", Rule::Annotation),
        Some(Keys::from(&status)),
    );
    let json = serde_json::to_value(&pod).unwrap();
    assert_eq!(json["state"], "ready");
    assert!(
        json["error"].as_str().unwrap().starts_with("STS refuses"),
        "{json}"
    );
    let status = Status {
        pods: vec![pod],
        ..example()
    };
    let text = status.to_text(at(NOW), Colour::Off);
    assert!(text.contains("ready, not renewed: STS refuses"), "{text}");
}

#[test]
fn a_refusal_that_requests_may_question_is_still_what_was_heard_last() {
    let State::Failed(failure) = denied("web") else {
        panic!("not denied");
    };
    let status = creds::Status {
        failure: Some(failure),
        ..held(State::Fetching)
    };
    let keys = serde_json::to_value(Keys::from(&status)).unwrap();
    assert_eq!(keys["state"], "failed");
    assert_eq!(keys["next"], "2026-01-01T02:15:00Z");
}
