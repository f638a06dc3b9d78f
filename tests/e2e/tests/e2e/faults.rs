//! What an operator gets wrong: one clear message each.

use anyhow::Result;
use bpf2iam_e2e::{
    Site, image,
    install::AGENT,
    pod::{WHOAMI, assert_role, names},
    wait,
};
use serde_json::{Value, json};

/// What the agent's image says as a pod that was not made by the chart, at its end.
fn said_by(site: &Site, pod: &Value) -> Result<(Value, String)> {
    site.cluster.apply(pod)?;
    let said = last_words(site, pod);
    site.delete(pod)?;
    said
}

fn last_words(site: &Site, pod: &Value) -> Result<(Value, String)> {
    let (namespace, name) = names(pod)?;
    let status = wait::until("the end of the agent", || {
        let pod = site.cluster.get(&["pod", name, "--namespace", namespace])?;
        let ended = pod["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        Ok(if ended.is_null() {
            Err(pod["status"].to_string())
        } else {
            Ok(ended)
        })
    })?;
    Ok((status, site.log(namespace, name, "main")?))
}

/// The agent's pod as the chart makes it, once more, and with something wrong.
fn spoiled(site: &Site, name: &str, spoil: fn(&mut Value)) -> Value {
    let set = ["daemonset", AGENT, "--namespace", AGENT];
    let mut spec = site.cluster.get(&set).unwrap()["spec"]["template"]["spec"].clone();
    spec["restartPolicy"] = json!("Never");
    let container = spec["containers"][0].as_object_mut().unwrap();
    container["name"] = json!("main");
    for probe in ["startupProbe", "readinessProbe"] {
        container.remove(probe);
    }
    spoil(&mut spec);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "namespace": AGENT, "name": name },
        "spec": spec,
    })
}

/// Takes away what is mounted there.
fn unmount(spec: &mut Value, place: &str) {
    let mounts = spec["containers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap();
    let before = mounts.len();
    mounts.retain(|mount| mount["mountPath"] != place);
    assert_eq!(mounts.len(), before - 1, "{place}");
}

fn allow_only(spec: &mut Value, capabilities: &[&str]) {
    spec["containers"][0]["securityContext"]["capabilities"]["add"] = json!(capabilities);
}

/// A name, what is wrong, and the words that have to be in the message.
type Case = (&'static str, fn(&mut Value), &'static [&'static str]);

const CASES: [Case; 6] = [
    (
        "no-cgroups",
        |spec| unmount(spec, "/run/cgroup2"),
        &["/run/cgroup2", "--cgroup-root", "hostPath"],
    ),
    (
        "no-bpffs",
        |spec| unmount(spec, "/sys/fs/bpf"),
        &["/sys/fs/bpf", "--pin-dir", "hostPath"],
    ),
    (
        "other-bpffs",
        |spec| {
            for volume in spec["volumes"].as_array_mut().unwrap() {
                if volume["hostPath"]["path"] == "/sys/fs/bpf" {
                    *volume = json!({ "name": volume["name"], "emptyDir": {} });
                }
            }
        },
        &["/sys/fs/bpf", "--pin-dir", "hostPath"],
    ),
    (
        "no-capabilities",
        |spec| allow_only(spec, &[]),
        &[
            "CAP_BPF",
            "CAP_NET_ADMIN",
            "CAP_PERFMON",
            "CAP_DAC_READ_SEARCH",
        ],
    ),
    (
        "a-capability-less",
        |spec| allow_only(spec, &["BPF", "PERFMON", "DAC_READ_SEARCH"]),
        &["CAP_NET_ADMIN"],
    ),
    (
        "no-token",
        |spec| spec["automountServiceAccountToken"] = json!(false),
        &["ServiceAccount", "--kubeconfig"],
    ),
];

#[test]
fn what_the_agents_pod_lacks_is_named_and_another_agent_is_not_disturbed() {
    let Some(site) = Site::find_or_skip("lacking") else {
        return;
    };
    let serving = site.agent_pod().unwrap();
    let mut missed = Vec::new();
    for (name, spoil, words) in CASES {
        let pod = spoiled(&site, name, spoil);
        let (ended, log) = said_by(&site, &pod).unwrap();
        let last = log.lines().last().unwrap_or_default().to_owned();
        println!("{name}: {last}");
        if ended["exitCode"] != 1 || !words.iter().all(|word| last.contains(word)) {
            missed.push(format!("{name}: {ended}\n{log}"));
        }
    }
    let said = site.run(&site.pod_with_role("cart", WHOAMI));
    assert_eq!(missed, Vec::<String>::new());
    assert_eq!(site.agent_pod().unwrap(), serving);
    assert_role(&said.unwrap(), "cart");
}

/// The agent's image, run without anything.
fn bare(site: &Site, name: &str) -> Value {
    let mut pod = site.pod(name, "");
    let container = json!({
        "name": "main",
        "image": format!("{}:{}", image::AGENT, image::VERSION),
        "imagePullPolicy": "Never",
    });
    pod["spec"]["containers"] = json!([container]);
    pod
}

#[test]
fn the_image_run_without_anything_says_what_is_missing() {
    let Some(site) = Site::bare_or_skip("bare") else {
        return;
    };
    let (ended, log) = said_by(&site, &bare(&site, "bare")).unwrap();
    assert_eq!(ended["exitCode"], 1, "{log}");
    let is_error = |line: &&str| line.contains("\"ERROR\"") || line.starts_with("bpf2iam: ");
    let errors: Vec<_> = log.lines().filter(is_error).collect();
    let [error] = errors[..] else {
        panic!("one error, not {errors:#?}: {log}")
    };
    for word in [
        "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_DAC_READ_SEARCH",
        "securityContext.capabilities.add",
    ] {
        assert!(error.contains(word), "no {word}: {error}");
    }
}

#[test]
fn a_node_name_that_nobody_knows_is_named_and_the_agent_before_serves_on() {
    let Some(site) = Site::find_or_skip("typo") else {
        return;
    };
    let serving = site.agent_pod().unwrap();
    site.install_as(AGENT, &["extraArgs={--node-name=typo}"])
        .unwrap();
    let log = wait::until("a word about the node's name", || {
        let log = site.agent_log().unwrap_or_default();
        Ok(if log.contains("there is no node typo; --node-name") {
            Ok(())
        } else {
            Err(log)
        })
    });
    let role = site.run(&site.pod_with_role("cart", WHOAMI));
    let pods = site.agent_pods();
    site.install(&[]).unwrap();
    log.unwrap();
    assert_role(&role.unwrap(), "cart");
    assert!(pods.unwrap().contains(&serving));
}
