//! The agent starts.

use std::{fs, os::unix::fs::MetadataExt as _, time::Instant};

use anyhow::Result;
use bpf2iam_support::stage::{Agent, BASE_ARN};

use super::{
    kernel::{self, Loaded},
    page::{Page, same},
    scene::Scene,
};

/// The agent, and what it has loaded into the kernel.
pub(super) struct Running {
    pub(super) agent: Agent,
    pub(super) loaded: Loaded,
}

/// Starts it, and shows what is attached.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<Running> {
    page.chapter("The agent starts");
    let pods = scene.stage.manifests();
    page.command(&format!("bpf2iam run --pods file:{} \\", pods.display()));
    page.text(&format!("    --base-role-arn {BASE_ARN} ..."));
    let began = Instant::now();
    let agent = scene.stage.start_agent(&[])?;
    scene.forget_answers();
    let took = began.elapsed().as_millis();
    agent.wait_for_keys()?; // no client's patience is part of the story
    page.text(&format!(
        "It is ready after {took} ms, and listens on port {} of the node.",
        agent.port()
    ));
    let loaded = attached(page, scene)?;
    Ok(Running { agent, loaded })
}

fn attached(page: &mut Page, scene: &Scene<'_>) -> Result<Loaded> {
    let kubepods = scene.stage.node().kubepods();
    page.space();
    page.command(&format!("bpftool cgroup tree {}", kubepods.display()));
    page.output(&kernel::tree(&kubepods)?);
    page.space();
    let loaded = Loaded::at(&kubepods)?;
    let here = [fs::metadata(&kubepods)?.ino()].into();
    page.claim(
        &format!(
            "{} programs in the kernel, attached to the pods' cgroup and nowhere else.",
            loaded.programs.len()
        ),
        same(&loaded.cgroups()?, &here),
    );
    Ok(loaded)
}
