//! What happens to the node under the agent.

use std::{thread, time::Duration};

use anyhow::Result;
use bpf2iam_e2e::{
    Site,
    pod::{WHOAMI, assert_role},
    siege::Siege,
    wait,
};
use bpf2iam_support::siege::Outcome;
use serde_json::Value;

/// The only one.
const NODE: &str = "node1";

#[test]
fn it_starts_on_a_node_that_has_no_network_namespaces_yet() {
    let Some(site) = Site::bare_or_skip("fresh") else {
        return;
    };
    site.uninstall_if_installed().unwrap();
    // Those of other tests' pods, which are on their way out.
    let unused =
        "for file in /run/netns/*; do umount \"$file\" && rm \"$file\"; done; rmdir /run/netns";
    wait::until("a node without network namespaces", || {
        Ok(site.node_shell(unused).map_err(|error| error.to_string()))
    })
    .unwrap();
    site.install(&[]).unwrap();
    let said = site.run(&site.pod_with_role("first", WHOAMI)).unwrap();
    assert_role(&said, "first");
    let problem = site.agent(&["doctor"]);
    assert!(problem.is_ok(), "{problem:?}");
}

/// The keys of the node's taints.
fn taints(site: &Site) -> Vec<String> {
    let node = site.cluster.get(&["node", NODE]).unwrap();
    let taints = node["spec"]["taints"].as_array().cloned();
    let key = |taint: &Value| taint["key"].as_str().unwrap_or_default().to_owned();
    taints.unwrap_or_default().iter().map(key).collect()
}

#[test]
fn with_the_startup_taint_no_pod_starts_before_the_agent_is_ready() {
    let Some(site) = Site::bare_or_skip("tainted") else {
        return;
    };
    site.uninstall_if_installed().unwrap();
    let taint = |taint: &str| site.cluster.kubectl(&["taint", "node", NODE, taint]);
    taint("bpf2iam.io/agent-not-ready=:NoSchedule").unwrap();
    taint("example.com/other=:PreferNoSchedule").unwrap();
    let pod = site.pod_with_role("early", WHOAMI);
    let applied = site.cluster.apply(&pod);
    let installed = site.install(&["startupTaint.enabled=true"]);
    let said = site.finish(&pod);
    let left = taints(&site);
    taint("example.com/other-").unwrap();
    let _gone = taint("bpf2iam.io/agent-not-ready-").is_err();
    applied.and(installed).unwrap();
    assert_role(&said.unwrap(), "early");
    assert_eq!(left, ["example.com/other"]);
}

#[test]
fn kubelet_and_containerd_restart_and_no_pod_notices() {
    let Some(site) = Site::find_or_skip("restarts") else {
        return;
    };
    let pod = site.pod_with_role("cart", "while :; do sleep 1; done");
    site.start(&pod).unwrap();
    let before = site.agent_pod().unwrap();
    // What asks must not end with the kubelet, through which it was started.
    site.exec(&pod, "main", &["sh", "-c", ASKING]).unwrap();
    let before_that = answers(&site, &pod).unwrap();
    site.script("restart.sh", &["containerd", "kubelet"])
        .unwrap();
    let count = wait::until("the kubelet to answer", || {
        Ok(answers(&site, &pod).map_err(|error| error.to_string()))
    });
    let count = count.unwrap();
    assert!(count > before_that + 5, "{before_that}, {count}");
    thread::sleep(Duration::from_secs(1));
    assert!(answers(&site, &pod).unwrap() > count);
    let said = site
        .exec(&pod, "main", &["sh", "-c", "sort /tmp/answers | uniq -c"])
        .unwrap();
    let answers: Vec<_> = said.lines().map(str::trim).collect();
    assert!(
        answers.len() == 1 && answers[0].ends_with(" cart"),
        "{said}"
    );
    assert_eq!(site.agent_pod().unwrap(), before);
    let after = site.run(&site.pod_with_role("after", WHOAMI)).unwrap();
    assert_role(&after, "after");
    let siege = Siege::begin_in(&site, &pod).unwrap();
    thread::sleep(Duration::from_secs(1));
    let seen = siege.end().unwrap();
    assert!(seen.total() > 0);
    assert_eq!(seen.count(Outcome::Own), seen.total(), "{}", seen.summary());
}

/// How many answers were noted.
fn answers(site: &Site, pod: &Value) -> Result<usize> {
    let count = site.exec(pod, "main", &["sh", "-c", "wc -l </tmp/answers"])?;
    Ok(count.trim().parse()?)
}

/// Notes the name of the role, or the status or the error, ten times a second.
const ASKING: &str = "(while :; do
    curl -sS -m 3 http://169.254.169.254/latest/meta-data/iam/security-credentials/ 2>&1; echo; sleep 0.1
    done >/tmp/answers 2>&1 </dev/null &) ; sleep 1";
