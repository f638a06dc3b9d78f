//! A map of records that is full of others, as an attacker may leave it: new connections push the oldest out, and are served.

use bpf2iam_ebpf::abi::MAX_CONNS;
use bpf2iam_kernel::objects::Objects;

use crate::{
    scene::{assert_role, attempt, pod, stage, start},
    syn_cookies::answer_with_cookies,
};

/// What an application does.
const WAYS: [&str; 3] = ["connect", "mapped", "ipv6"];

#[test]
fn a_full_map_keeps_nobody_from_its_role() {
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
    // Without its SYN a connection is looked for among all of them.
    answer_with_cookies(&stage);
    for pod in &pods {
        for way in WAYS {
            assert_role(&attempt(&stage, &pod.place(), &[way]), &pod.spec().name);
        }
    }
}
