//! How much memory the agent holds when it has nothing to do.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};
use bpf2iam_support::{manifest, pod::Spec, stage::Stage};
use serde_json::json;

use crate::say;

use super::{
    agent::Agent,
    figure::{Figure, Wanted},
};

/// How many pods there are, each with a role of its own.
pub(super) const PODS: usize = 50;
/// How long the agent is left alone: what it needed for its start goes meanwhile.
const SETTLE: Duration = Duration::from_secs(30);

/// Writes the manifests of so many `pods` that nothing runs in. They come to an agent that is there: to one that finds them running
/// there is no hurry to get keys for them.
pub(super) fn add_pods(stage: &Stage, pods: usize) -> Result<()> {
    let pattern = manifest::of(&stage.node().add_pod(Spec::new("shop", "pattern"))?);
    for number in 0..pods {
        let name = format!("pod-{number}");
        let mut object = pattern.clone();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{number:012}"));
        object["metadata"]["annotations"] = json!({"iam.amazonaws.com/role": name});
        manifest::write(&stage.manifests(), &name, &object)?;
    }
    Ok(())
}

/// Waits until the agent has everybody's credentials, and then some.
pub(super) fn measure(agent: &mut Agent) -> Result<Figure> {
    agent.wait_until("done fetching credentials", |agent| {
        let status = agent.status()?;
        let pods = status["pods"].as_array().context("no pods in the status")?;
        let ready = pods.iter().filter(|pod| pod["state"] == "ready");
        Ok((ready.count() >= PODS).then_some(()))
    })?;
    say::step(format!(
        "idle memory: {PODS} pods, {SETTLE:?} after their credentials are there"
    ));
    thread::sleep(SETTLE);
    let idle = Memory::of(agent.pid())?;
    say::note(idle.to_string());
    Ok(Figure {
        name: "memory of the idle agent",
        value: idle.resident,
        unit: " MiB",
        wanted: Wanted::AtMost(16.0),
        detail: idle.to_string(),
    })
}

/// What /proc says about a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) resident: f64,
    /// The most that it ever was.
    pub(super) peak: f64,
    anonymous: f64,
    file: f64,
    threads: f64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).context(path)?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number =
                line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
            number
                .and_then(|number| number.parse::<f64>().ok())
                .with_context(|| format!("/proc/{pid}/status has no {name}"))
        };
        Ok(Self {
            resident: field("VmRSS")? / 1024.0,
            peak: field("VmHWM")? / 1024.0,
            anonymous: field("RssAnon")? / 1024.0,
            file: field("RssFile")? / 1024.0,
            threads: field("Threads")?,
        })
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            resident,
            peak,
            anonymous,
            file,
            threads,
        } = self;
        write!(
            f,
            "{resident:.1} MiB resident ({peak:.1} at most): {anonymous:.1} anonymous, {file:.1} of files; {threads} threads"
        )
    }
}
