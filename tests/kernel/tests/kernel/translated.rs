//! Addresses that a pod's own firewall translates, between what `connect` was asked for and what leaves the pod.

use bpf2iam_support::{Pod, stage::Stage};

use crate::scene::{
    NODE_KEYS, assert_closed, assert_refused, assert_role, attempt, firewall, leaks, pod, proxy,
    refused_for, stage, start,
};

/// An address that nobody has.
const ELSEWHERE: &str = "10.77.0.9:80";

/// What connects to [`ELSEWHERE`] goes to `to`.
fn translate(stage: &Stage, pod: &Pod, to: &str) {
    let rules = format!(
        "table ip inner {{
           chain out {{
             type nat hook output priority -100
             ip daddr 10.77.0.9 tcp dport 80 dnat to {to}
           }}
         }}"
    );
    firewall(stage, pod, &rules);
}

#[test]
fn an_address_that_becomes_the_metadata_address_leads_nowhere() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    translate(&stage, &cart, "169.254.169.254:80");
    let ask = || {
        attempt(
            &stage,
            &cart.place(),
            &["direct", "--to", ELSEWHERE, "--path", NODE_KEYS],
        )
    };
    assert!(leaks(&ask()), "there is nothing to protect");
    let agent = start(&stage, &[]);
    let report = ask();
    assert_refused(&report, "ETIMEDOUT", "connect");
    assert!(agent.kernel_counter("dropped_packets").unwrap() > 0);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

#[test]
fn an_address_that_becomes_the_proxys_is_attested_as_nobody() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    translate(&stage, &cart, &proxy(&agent));
    let report = attempt(&stage, &cart.place(), &["direct", "--to", ELSEWHERE]);
    assert_closed(&report);
    assert_eq!(refused_for(&stage, "no_record"), 1);
}

#[test]
fn a_client_whose_port_is_translated_is_refused() {
    let Some(stage) = stage() else { return };
    let [cart, till] = ["cart", "till"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    let port = agent.port();
    let rules = format!(
        "table ip inner {{
           chain out {{
             type nat hook postrouting priority 100
             tcp dport {port} snat to :50000-50010
           }}
         }}"
    );
    firewall(&stage, &cart, &rules);
    assert_closed(&attempt(&stage, &cart.place(), &["connect"]));
    assert_eq!(refused_for(&stage, "other_peer"), 1);
    assert_role(&attempt(&stage, &till.place(), &["connect"]), "till");
}
