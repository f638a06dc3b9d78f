//! What the agent costs on a real cluster, each beside a reference that took turns with it: `cargo xtask cluster --measure`.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_e2e::{
    Site,
    install::AGENT,
    pod::{IDLE, assert_role},
    wait,
};
use serde_json::{Value, json};

/// How many pods and Jobs come one after another, and how often the agent is installed.
const ROUNDS: &str = "BPF2IAM_ROUNDS";
/// What is wanted: milliseconds to credentials in 99 of 100 pods and in any pod, MiB of memory, milliseconds to ready.
const P99: f64 = 50.0;
const MOST: f64 = 500.0;
const MEMORY: f64 = 32.0;
const START: f64 = 3000.0;
/// So many times as much is a failure.
const MARGIN: f64 = 2.0;
/// Prints when it began, when it had its pod's keys, and the same with keys that it needs not ask for.
const FIRST: &str = "/bin/date +%s%N; /clients/whoami first; /bin/date +%s%N;
    AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=x /clients/whoami first";

fn main() -> Result<()> {
    let rounds = env::var(ROUNDS)
        .ok()
        .map_or(Ok(100), |rounds| rounds.parse())?;
    let site =
        Site::find_or_skip("measured").context("no cluster: cargo xtask cluster --measure")?;
    credentials(&site, rounds)?;
    jobs(&site, rounds.div_ceil(2))?;
    memory(&site)?;
    starts(&site, rounds.div_ceil(20))
}

/// From the first instruction of a container to the keys in the hands of its SDK.
fn credentials(site: &Site, rounds: usize) -> Result<()> {
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        let pod = site.pod_with_role(&format!("first-{number}"), FIRST);
        let said = site.run(&pod)?;
        let words: Vec<_> = said.split_whitespace().collect();
        let [from, key, to, again, _, at] = words[..] else {
            anyhow::bail!("first-{number} said {said}");
        };
        ensure!(key.starts_with("ASIA"), "first-{number} has {key}");
        ours.push(between(from, to)?);
        reference.push(between(again, at)?);
        site.delete(&pod)?;
    }
    let [ours, reference] = [ours, reference].map(sorted);
    let (p50, p99, max) = (at(&ours, 50), at(&ours, 99), at(&ours, 100));
    println!(
        "first instruction to credentials, {rounds} pods: p50 {p50:.1} ms, p99 {p99:.1} ms (wanted: {P99}), most {max:.1} ms (wanted: {MOST}); \
         {:.2} x of the same client with keys in its environment (p50 {:.1} ms, p99 {:.1} ms)",
        p50 / at(&reference, 50),
        at(&reference, 50),
        at(&reference, 99),
    );
    had("ms in 99 of 100 pods", p99, P99)?;
    had("ms in any pod", max, MOST)
}

/// Fails where a figure is not what is wanted by far: the machine has other things to do.
fn had(what: &str, figure: f64, wanted: f64) -> Result<()> {
    ensure!(
        figure < wanted * MARGIN,
        "{figure:.1} {what}, {wanted} wanted"
    );
    Ok(())
}

/// Jobs that live for a second.
fn jobs(site: &Site, rounds: usize) -> Result<()> {
    let mut good = 0;
    for number in 0..rounds {
        let name = format!("second-{number}");
        let pod = site.pod_with_role(&name, "/clients/whoami; sleep 1");
        let job = Site::job(&pod)?;
        let said = site.run_job(&job)?;
        good += usize::from(said.contains(&format!(":assumed-role/{name}/")));
        site.delete_job(&job)?;
    }
    println!("one-second Jobs that had their role: {good} of {rounds} (wanted: all)");
    ensure!(good == rounds, "{good} of {rounds} Jobs had their role");
    Ok(())
}

/// What the kubelet counts for the agent's container.
fn memory(site: &Site) -> Result<()> {
    let summary = site
        .cluster
        .get_raw("/api/v1/nodes/node1/proxy/stats/summary")?;
    let summary: Value = serde_json::from_str(&summary)?;
    let pods = summary["pods"].as_array().cloned().unwrap_or_default();
    let agent = pods.iter().find(|pod| pod["podRef"]["namespace"] == AGENT);
    let memory = &agent.context("the agent in the kubelet's summary")?["containers"][0]["memory"];
    let mib = |field: &str| memory[field].as_f64().unwrap_or(f64::NAN) / f64::from(1 << 20);
    println!(
        "memory of the agent's container: {:.1} MiB (wanted: {MEMORY}), {:.1} MiB of it in use, {:.1} MiB resident",
        mib("usageBytes"),
        mib("workingSetBytes"),
        mib("rssBytes"),
    );
    had("MiB of memory", mib("usageBytes"), MEMORY)
}

/// From the DaemonSet applied to the agent ready, and the same of one that does nothing.
fn starts(site: &Site, rounds: usize) -> Result<()> {
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        site.uninstall_if_installed()?;
        let from = Instant::now();
        site.install_as(AGENT, &[])?;
        let applied = Instant::now();
        wait_until_ready(site, AGENT, AGENT)?;
        println!(
            "helm took {:.1} s",
            applied.duration_since(from).as_secs_f64()
        );
        ours.push(applied.elapsed().as_secs_f64() * 1000.0);
        reference.push(idle(site)?.as_secs_f64() * 1000.0);
    }
    let said = site.run(&site.pod_with_role("after", "/clients/whoami"))?;
    assert_role(&said, "after");
    let [ours, reference] = [ours, reference].map(sorted);
    println!(
        "DaemonSet applied to ready, {rounds} times: p50 {:.0} ms, most {:.0} ms (wanted: {START}); {:.2} x of one that does nothing ({:.0} ms)",
        at(&ours, 50),
        at(&ours, 100),
        at(&ours, 50) / at(&reference, 50),
        at(&reference, 50),
    );
    had("ms to ready", at(&ours, 100), START)
}

/// A DaemonSet on the node's network that only waits.
fn idle(site: &Site) -> Result<Duration> {
    let labels = json!({ "app": "idle" });
    let mut pod = site.pod("idle", IDLE)["spec"].clone();
    pod["restartPolicy"] = json!("Always");
    pod["hostNetwork"] = json!(true);
    pod["containers"][0]["readinessProbe"] =
        json!({ "exec": { "command": ["true"] }, "periodSeconds": 1 });
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "namespace": site.namespace, "name": "idle" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    });
    site.cluster.apply(&set)?;
    let from = Instant::now();
    wait_until_ready(site, &site.namespace, "idle")?;
    let took = from.elapsed();
    site.cluster.kubectl(&[
        "delete",
        "daemonset",
        "idle",
        "--namespace",
        &site.namespace,
    ])?;
    Ok(took)
}

fn wait_until_ready(site: &Site, namespace: &str, name: &str) -> Result<()> {
    wait::until(&format!("{name} to be ready"), || {
        let set = site
            .cluster
            .get(&["daemonset", name, "--namespace", namespace])?;
        let ready =
            set["status"]["numberReady"] == 1 && set["status"]["updatedNumberScheduled"] == 1;
        Ok(if ready {
            Ok(())
        } else {
            Err(set["status"].to_string())
        })
    })
}

/// Milliseconds from one nanosecond to another.
fn between(from: &str, to: &str) -> Result<f64> {
    let [from, to] = [from, to].map(str::parse::<u64>);
    let took = Duration::from_nanos(to?.saturating_sub(from?));
    Ok(took.as_secs_f64() * 1000.0)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// So many in a hundred are not greater.
fn at(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
