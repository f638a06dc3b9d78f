//! Clients in many pods that ask all the time: what they get while something happens to the agent.

use anyhow::Result;
use bpf2iam_support::{
    client::{Spells, reported},
    process::Process,
    siege::Seen,
};
use serde_json::{Value, json};

use crate::{Site, pod::IDLE, wait::PATIENCE};

/// What runs in each pod. They leave something of two cores to everybody else.
const CLIENT: &str = "pod-client siege --threads 1 --pause 100000 --other node-role --expect";

/// Pods with a client each. On drop they are told to end.
#[derive(Debug)]
pub struct Siege {
    clients: Vec<Process>,
}

impl Siege {
    /// Starts so many pods, each with a role of its own, and lets the clients begin.
    pub fn begin(site: &Site, pods: usize) -> Result<Self> {
        let pods: Vec<_> = (0..pods)
            .map(|number| site.pod_with_role(&format!("besieger-{number}"), IDLE))
            .collect();
        site.cluster
            .apply(&json!({ "apiVersion": "v1", "kind": "List", "items": pods }))?;
        for pod in &pods {
            site.wait_for_phase(pod, &["Running"])?;
        }
        let clients: Result<_> = pods.iter().map(|pod| besieger(site, pod)).collect();
        Ok(Self { clients: clients? })
    }

    /// Lets one client begin in a pod that runs, whose role has its name.
    pub fn begin_in(site: &Site, pod: &Value) -> Result<Self> {
        let clients = vec![besieger(site, pod)?];
        Ok(Self { clients })
    }

    /// Lets them end, and says what all of them got.
    pub fn end(mut self) -> Result<Seen> {
        self.clients.iter_mut().for_each(Process::close_input);
        let mut all = Spells::default();
        for client in &self.clients {
            let Spells { spells } = reported(client, PATIENCE)?;
            all.spells.extend(spells);
        }
        Ok(all.into())
    }
}

fn besieger(site: &Site, pod: &Value) -> Result<Process> {
    let role = pod["metadata"]["name"].as_str().unwrap_or_default();
    let words = CLIENT.split(' ').chain([role]);
    let client = site.exec_with_input(pod, &words.collect::<Vec<_>>())?;
    client.wait_for_line(|line| line == "besieging", PATIENCE)?;
    Ok(client)
}
