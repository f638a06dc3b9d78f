//! The programs' counters: what `bpf2iam status`, the metrics and the kernel itself say is the same.

use std::collections::BTreeMap;

use bpf2iam_kernel::{bpftool, objects::Objects};
use bpf2iam_support::{pod::Spec, process::Process, stage::Agent};

use crate::scene::{attempt, pod, proxy, stage, start};

type Counters = BTreeMap<String, u64>;

/// By name, as BTF spells the struct, summed up over all CPUs.
fn in_the_kernel(agent: &Agent) -> Counters {
    let map = Objects::of(agent).unwrap().map("IMDS_COUNTERS").unwrap();
    let entries = bpftool::dump(map).unwrap();
    let mut counters = Counters::new();
    for cpu in entries[0]["values"].as_array().unwrap() {
        for (name, value) in cpu["value"].as_object().unwrap() {
            *counters.entry(name.clone()).or_default() += value.as_u64().unwrap();
        }
    }
    counters
}

fn in_the_status(agent: &Agent) -> Counters {
    let status = agent.status().unwrap();
    serde_json::from_value(status["counters"]["kernel"].clone()).unwrap()
}

fn in_the_metrics(page: &str) -> Counters {
    let counter = |line: &str| {
        let (name, value) = line
            .strip_prefix("bpf2iam_kernel_")?
            .split_once("_total ")?;
        Some((name.to_owned(), value.parse().unwrap()))
    };
    page.lines().filter_map(counter).collect()
}

#[test]
fn status_metrics_and_the_kernel_count_alike() {
    let Some(stage) = stage() else { return };
    let own = stage.add_pod(Spec::new("kube-system", "bpf2iam").on_host_network());
    let own = own.unwrap();
    let command = stage
        .agent_in(&own.place(), &[], &["--node-ip", "10.77.0.1"])
        .unwrap();
    let agent = Agent::ready(Process::spawn("bpf2iam", command).unwrap(), &stage).unwrap();
    let cart = pod(&stage, "cart");
    agent.wait_for_keys().unwrap();
    let door = proxy(&agent);
    for (args, times) in [
        (&["connect"][..], 5),
        (&["direct", "--to", &door], 4),
        (&["udp-connect"], 3),
        (&["udp-sendto"], 1),
        (&["udp-sendto-mapped"], 1),
        (&["udp-sendto-ipv6"], 1),
        (&["udp-sendto-connected"], 1),
        (&["port-81"], 2),
        (&["ipv6"], 3),
        (&["icmp"], 1),
    ] {
        for _ in 0..times {
            attempt(&stage, &cart.place(), args);
        }
    }

    let counted = in_the_kernel(&agent);
    for (name, count) in [
        // And the agent's own.
        ("redirected", 5 + 1),
        ("direct", 4),
        ("refused_not_tcp", 7),
        ("refused_port", 2),
        ("refused_no_proxy", 3),
        // Only what no earlier hook has seen.
        ("dropped_packets", 1),
        ("failed_storage", 0),
        ("failed_record", 0),
        ("failed_option_room", 0),
        ("failed_option_store", 0),
        ("lease_passed", 0),
        ("lease_refused", 0),
        ("refused_off", 0),
    ] {
        assert_eq!(counted.get(name), Some(&count), "{name}: {counted:?}");
    }
    assert!(counted["exempt"] > 0, "{counted:?}");
    assert_eq!(counted.len(), 14, "{counted:?}");
    assert_eq!(in_the_status(&agent), counted);
    assert_eq!(in_the_metrics(&stage.admin("/metrics").unwrap()), counted);
    let text = agent.status_page(&[]).unwrap();
    for (name, count) in &counted {
        let line = text
            .lines()
            .find(|line| line.split_whitespace().eq([name, &count.to_string()]));
        assert!(line.is_some(), "{name} {count} in\n{text}");
    }
}

#[test]
fn the_status_names_what_bpftool_sees() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    let kubepods = stage.node().kubepods();
    let status = agent.status().unwrap();
    let programs = status["programs"].as_array().unwrap();
    let mut named: Vec<_> = programs
        .iter()
        .map(|program| {
            assert_eq!(program["attach_point"].as_str(), kubepods.to_str());
            let (id, place) = (program["program_id"].as_u64(), &program["type"]);
            (
                id.unwrap(),
                place.as_str().unwrap(),
                program["name"].as_str().unwrap(),
            )
        })
        .collect();
    let attached = bpftool::attached(&kubepods).unwrap();
    let mut seen: Vec<_> = attached
        .iter()
        .map(|one| {
            (
                u64::from(one.id),
                one.attach_type.as_str(),
                one.name.as_str(),
            )
        })
        .collect();
    named.sort_unstable();
    seen.sort_unstable();
    assert_eq!(named, seen);
    assert!(
        attached.iter().all(|one| one.attach_flags == "multi"),
        "{attached:?}"
    );
}
