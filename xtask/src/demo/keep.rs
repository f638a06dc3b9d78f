//! Everything stays up for whoever wants to try it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    ask::ROLES,
    page::Page,
    scene::{Actor, Scene},
};

/// What a door opens to when nothing is said.
const SHELL: &str = r#"[ $# -gt 0 ] || set -- "${SHELL:-/bin/sh}""#;

/// Says what can be tried, and waits until that is enough.
pub(super) fn wait(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("Your turn: the agent runs until you press Enter or Ctrl-C here");
    page.text("In another terminal, as root: a shell in a pod, or the command that is added.");
    for actor in scene.cast() {
        page.command(&format!("sh {}", door(scene, actor)?.display()));
    }
    page.space();
    page.text("There, ask as the pods did above:");
    page.command(&format!("curl {ROLES}"));
    page.space();
    page.text("See what the agent says:");
    let (agent, runtime) = (&scene.stage.programs().agent, scene.stage.runtime_dir());
    page.command(&format!(
        "{} status --runtime-dir {}",
        agent.display(),
        runtime.display()
    ));
    page.space();
    page.text("Edit or remove a pod's manifest; its next request follows:");
    page.command(&format!("ls {}", scene.stage.manifests().display()));
    scene.wait();
    page.space();
    page.text("Whatever still runs in the pods is ended now.");
    Ok(())
}

/// A script that enters a pod. It goes with the node.
fn door(scene: &Scene<'_>, actor: &Actor) -> Result<PathBuf> {
    let name = format!("enter-{}", actor.pod.spec().name);
    let path = scene.stage.runtime_dir().with_file_name(name);
    let enter = actor.place().recipe("\"$@\"");
    fs::write(&path, format!("{SHELL}\nexec {enter}\n"))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}
