use super::*;
use crate::doctor::Verdict;

const NAMES: [&str; 2] = ["imds_connect4", "imds_egress"];

fn link(runs: &str, cgroup: u64) -> Held {
    Held::Link {
        id: 4,
        program: 5,
        runs: Some(runs.to_owned()).filter(|runs| !runs.is_empty()),
        cgroup,
    }
}

fn facts(versions: &[u32], first: Held) -> Facts {
    let pinned = |name: &'static str, held| Pinned {
        name,
        pin: Path::new("/p").join(name),
        held,
    };
    Facts {
        root: "/pins".into(),
        cgroup: Some(7),
        answers: false,
        versions: Ok(versions.to_vec()),
        links: vec![pinned(NAMES[0], first), pinned(NAMES[1], link(NAMES[1], 7))],
        map_faults: Vec::new(),
    }
}

fn ours(first: Held) -> Facts {
    facts(&[abi::VERSION], first)
}

fn right() -> Held {
    link(NAMES[0], 7)
}

#[test]
fn every_link_must_run_its_program_at_the_pods_cgroup() {
    for (held, verdict, says) in [
        (
            right(),
            Verdict::Ok,
            "all 2 programs are attached to the pods' cgroup (id 7), pinned at /pins",
        ),
        (
            link("", 7),
            Verdict::Ok,
            "their names cannot be told without CAP_SYS_ADMIN",
        ),
        (
            Held::Missing,
            Verdict::Problem,
            "imds_connect4 is not attached: there is no link at /p/imds_connect4",
        ),
        (
            Held::Foreign,
            Verdict::Problem,
            "is no link of imds_connect4",
        ),
        (
            Held::Unreadable("EIO".to_owned()),
            Verdict::Warning,
            "cannot be looked at: EIO",
        ),
        (
            link("stranger", 7),
            Verdict::Problem,
            "runs another program than imds_connect4: stranger (id 5)",
        ),
        (
            link(NAMES[0], 0),
            Verdict::Problem,
            "its link (id 4) was detached",
        ),
        (
            link(NAMES[0], 9),
            Verdict::Problem,
            "another cgroup than the pods' one: that with the id 9",
        ),
    ] {
        let facts = ours(held);
        assert_eq!(facts.is_attached(), verdict == Verdict::Ok);
        let found = judge(&facts);
        assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
        assert!(found[0].what.contains(says), "{found:?}");
    }
}

#[test]
fn what_is_not_there_and_what_others_left_is_told() {
    let none = |answers| Facts {
        answers,
        ..facts(&[], Held::Missing)
    };
    let broken_map = Facts {
        map_faults: vec!["/m is not there".to_owned()],
        ..ours(right())
    };
    let no_pods = Facts {
        cgroup: None,
        ..ours(right())
    };
    let unreadable = Facts {
        versions: Err("cannot read /pins".to_owned()),
        ..ours(right())
    };
    for (facts, expected) in [
        (
            none(false),
            &[(Verdict::Problem, "pods reach the real metadata service")][..],
        ),
        (
            none(true),
            &[(Verdict::Problem, "an agent answers, but nothing is pinned")],
        ),
        (
            broken_map,
            &[(Verdict::Problem, "a map cannot be used: /m is not there")],
        ),
        (
            no_pods,
            &[(Verdict::Warning, "cannot be told without the pods' cgroup")],
        ),
        (unreadable, &[(Verdict::Warning, "cannot read /pins")]),
        (
            facts(&[abi::VERSION, 77], right()),
            &[(Verdict::Ok, "all 2"), (Verdict::Warning, "/pins/77")],
        ),
        (
            facts(&[77], Held::Missing),
            &[
                (Verdict::Warning, "nothing of this command's version"),
                (Verdict::Warning, "/pins/77"),
            ],
        ),
    ] {
        let found = judge(&facts);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, (verdict, says)) in found.iter().zip(expected) {
            assert_eq!(found.verdict, *verdict, "{found:?}");
            assert!(found.what.contains(says), "{found:?}");
            assert_eq!(found.fix.is_none(), *verdict == Verdict::Ok);
        }
    }
}

#[test]
fn what_is_not_ours_is_not_mended_by_a_start() {
    let fix = |facts: &Facts| judge(facts)[0].fix.clone().unwrap();
    for (held, expected) in [
        (Held::Foreign, FOREIGN),
        (Held::Missing, RESTART),
        (link("stranger", 7), RESTART),
    ] {
        assert_eq!(fix(&ours(held)), expected);
    }
    for (fault, expected) in [
        ("/m is not there", RESTART),
        ("/m is pinned, and is not ours: it is no map", FOREIGN),
    ] {
        let map_faults = vec![fault.to_owned()];
        let facts = Facts {
            map_faults,
            ..ours(right())
        };
        assert_eq!(fix(&facts), expected);
    }
}
