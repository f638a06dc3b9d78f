//! What happens to the node under the agent.

use std::{thread, time::Duration};

use anyhow::Result;
use bpf2iam_e2e::{
    Site,
    pod::{IDLE, LIST, WHOAMI, assert_role},
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
    // Those of other tests' pods are on their way out.
    wait::until("a node without network namespaces", || {
        let removed = site.node(&["rmdir", "/run/netns"]);
        Ok(removed.map_err(|error| error.to_string()))
    })
    .unwrap();
    site.install(&[]).unwrap();
    let said = site.run(&site.pod_with_role("first", WHOAMI)).unwrap();
    assert_role(&said, "first");
    let problem = site.agent(&["doctor"]);
    assert!(problem.is_ok(), "{problem:?}");
}

/// The taint that the agent takes away, and one of somebody else's.
const TAINTS: [&str; 2] = ["bpf2iam.io/agent-not-ready", "example.com/other"];

/// The keys of the node's taints.
fn taints(site: &Site) -> Result<Vec<String>> {
    let node = site.cluster.get(&["node", NODE])?;
    let taints = node["spec"]["taints"].as_array().cloned();
    let key = |taint: &Value| taint["key"].as_str().unwrap_or_default().to_owned();
    Ok(taints.unwrap_or_default().iter().map(key).collect())
}

/// What a pod says that was there before the agent, and which taints are left then.
fn installed_behind_taints(site: &Site) -> Result<(String, Vec<String>)> {
    let [ours, other] = TAINTS;
    let taint = |taint: &str| site.cluster.kubectl(&["taint", "node", NODE, taint]);
    taint(&format!("{ours}=:NoSchedule"))?;
    taint(&format!("{other}=:PreferNoSchedule"))?;
    let pod = site.pod_with_role("early", WHOAMI);
    site.cluster.apply(&pod)?;
    site.install(&["startupTaint.enabled=true"])?;
    Ok((site.finish(&pod)?, taints(site)?))
}

#[test]
fn with_the_startup_taint_no_pod_starts_before_the_agent_is_ready() {
    let Some(site) = Site::bare_or_skip("tainted") else {
        return;
    };
    site.uninstall_if_installed().unwrap();
    let behind = installed_behind_taints(&site);
    for taint in TAINTS {
        let taint = format!("{taint}-");
        // It may be gone already.
        let _gone = site.cluster.kubectl(&["taint", "node", NODE, &taint]).err();
    }
    let (said, left) = behind.unwrap();
    assert_role(&said, "early");
    assert_eq!(left, TAINTS[1..]);
}

#[test]
fn kubelet_and_containerd_restart_and_no_pod_notices() {
    let Some(site) = Site::find_or_skip("restarts") else {
        return;
    };
    let pod = site.pod_with_role("cart", IDLE);
    site.start(&pod).unwrap();
    let before = site.agent_pod().unwrap();
    // What asks must not end with the kubelet, through which it was started.
    let asking = ASKING.replace("LIST", LIST);
    site.exec(&pod, "main", &["sh", "-c", &asking]).unwrap();
    let before_that = answers(&site, &pod).unwrap();
    site.restart(&["containerd", "kubelet"]).unwrap();
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
    curl -sS -m 3 LIST 2>&1; echo; sleep 0.1
    done >/tmp/answers 2>&1 </dev/null &) ; sleep 1";
