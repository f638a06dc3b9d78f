//! A pod's role changes while the agent runs.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{manifest, stage::NODE_KEY};
use serde_json::Value;

use super::{
    ask::{Answer, ROLES},
    page::{Page, columns, same},
    scene::{Actor, ROLE, Scene},
};

/// How long the agent may take to see a change.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the pod asks meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// Gives a role to the pod that has none, and takes it away.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("A role changes as soon as its annotation does");
    let pod = &scene.website;
    let file = scene.manifest(pod);
    page.text(&format!(
        "The manifest of {} is edited: {}",
        pod.name(),
        file.display()
    ));
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    for (sign, role) in [("+", Some("reports")), ("-", None)] {
        let before = scene.ask(pod, &[ROLES])?;
        annotate(scene, pod, role)?;
        let (after, took) = follow(scene, pod, role)?;
        let (took, edit) = (took.as_millis(), format!("{sign} {ROLE}: reports"));
        rows.push([
            edit,
            format!("{before} -> {after}"),
            format!("after {took} ms"),
        ]);
        verdicts.push(same(&role_in(&after), &expected(role)));
    }
    page.space();
    for (line, verdict) in columns(&rows).iter().zip(verdicts) {
        page.claim(line, verdict);
    }
    no_leak(page, scene);
    Ok(())
}

/// Writes another role, or none, into a pod's manifest.
fn annotate(scene: &Scene<'_>, pod: &Actor, role: Option<&str>) -> Result<()> {
    let file = scene.manifest(pod);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut object: Value = serde_json::from_str(&text)?;
    object["metadata"]["annotations"] = match role {
        Some(role) => serde_json::json!({ ROLE: role }),
        None => serde_json::json!({}),
    };
    let name = file.file_stem().and_then(|name| name.to_str());
    manifest::write(
        &scene.stage.manifests(),
        name.context("a file has a name")?,
        &object,
    )?;
    Ok(())
}

/// Asks until the answer is as it should be. Says how long that took.
fn follow(scene: &Scene<'_>, pod: &Actor, role: Option<&str>) -> Result<(Answer, Duration)> {
    let began = Instant::now();
    loop {
        let answer = scene.ask(pod, &[ROLES])?;
        let took = began.elapsed();
        if role_in(&answer) == expected(role) || took > PATIENCE {
            return Ok((answer, took));
        }
        thread::sleep(PAUSE);
    }
}

/// The status, and the role if there is one.
fn role_in(answer: &Answer) -> (u16, Option<String>) {
    (answer.status, answer.text().map(str::to_owned))
}

fn expected(role: Option<&str>) -> (u16, Option<String>) {
    (role.map_or(404, |_| 200), role.map(str::to_owned))
}

fn no_leak(page: &mut Page, scene: &Scene<'_>) {
    let (asked, leaks) = scene.answers();
    page.space();
    page.claim(
        &format!(
            "Of {asked} answers since the agent started none holds a key of the node \
             ({NODE_KEY}...)."
        ),
        same(&leaks, &Vec::new()),
    );
}
