//! A map of records that is full of others, as an attacker may leave it: new connections push the oldest out, and are served.

use bpf2iam_ebpf::abi::MAX_CONNS;
use bpf2iam_kernel::objects::Objects;

use crate::{
    scene::{assert_role, attempt, pod, refused_for, stage, start},
    syn_cookies::answer_with_cookies,
};

/// What an application does.
const WAYS: [&str; 3] = ["connect", "mapped", "ipv6"];

#[test]
fn a_full_map_keeps_from_its_role_only_who_has_lost_its_syn() {
    let Some(stage) = stage() else { return };
    let pods = ["cart", "till"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    let objects = Objects::of(&agent).unwrap();
    objects.fill_conns().unwrap();
    let records = objects.conns().unwrap().len();
    // The kernel drops some at a time when it needs room.
    assert!(records > MAX_CONNS * 9 / 10, "{records} records");
    for pod in &pods {
        for way in WAYS {
            assert_role(&attempt(&stage, &pod.place(), &[way]), &pod.spec().name);
        }
    }
    // Without its SYN a connection's record would be looked for: the only one that fits may be another pod's by now.
    answer_with_cookies(&stage);
    for way in WAYS {
        let report = attempt(&stage, &pods[0].place(), &[way]);
        assert!(!report.answered(), "{report:?}");
    }
    assert_eq!(refused_for(&stage, "crowded"), 3);
}
