//! The agent ends, and then everything else does.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use bpf2iam_support::{stage::NODE_KEY, sweep};

use super::{
    attach::Running,
    kernel::Loaded,
    page::{Page, same},
    rules,
    scene::Scene,
};

/// The kernel frees things a moment after their last user is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends everything, and looks at what is left.
pub(super) fn tell(page: &mut Page, scene: Scene<'_>, running: Running) -> Result<()> {
    page.chapter("The agent ends, and after the uninstall nothing of it is left");
    let Running { agent, loaded } = running;
    let search = rules::Search::new();
    let mut rules = search.all(&scene)?;
    let ended = agent.stop()?;
    page.claim(
        "It was told to end (SIGTERM), and did: exit code 0.",
        same(&ended.code(), &Some(0)),
    );
    refused(page, &scene)?;
    page.command("bpf2iam uninstall");
    let (done, said) = scene.stage.uninstall(&[])?;
    page.claim("It ended well.", done.then_some(()).ok_or(said));
    unloaded(page, &loaded)?;
    rules.extend(search.all(&scene)?);
    let [rule, by] = search.describe();
    page.claim(
        &format!("No {rule}, neither now nor while it ran ({by})."),
        same(&rules, &Vec::new()),
    );
    as_before(page, &scene)?;
    removed(page, scene)
}

/// The programs are still there, and nobody answers.
fn refused(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    let pod = &scene.invoices;
    let report = scene.attempt(pod, "connect")?;
    let refused = report.error.as_deref() == Some("ECONNREFUSED");
    page.claim(
        &format!(
            "The programs stay for the next agent: {} is refused meanwhile, and gets no key of the node's.",
            pod.name()
        ),
        refused.then_some(()).ok_or_else(|| format!("{report:?}")),
    );
    Ok(())
}

fn unloaded(page: &mut Page, loaded: &Loaded) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut left = loaded.left()?;
    while left != Loaded::default() && Instant::now() < deadline {
        thread::sleep(PAUSE);
        left = loaded.left()?;
    }
    let Loaded {
        links,
        programs,
        maps,
    } = loaded;
    page.claim(
        &format!(
            "{} links, {} programs and {} maps are gone from the kernel (bpftool link, prog, map).",
            links.len(),
            programs.len(),
            maps.len()
        ),
        same(&left, &Loaded::default()),
    );
    Ok(())
}

fn as_before(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    let pod = &scene.invoices;
    let [_list, keys] = scene.ask_for_keys(pod)?;
    let key = keys.key();
    let verdict = key.starts_with(NODE_KEY).then_some(());
    page.claim(
        &format!(
            "{} reaches the node's metadata service again: {key}.",
            pod.name()
        ),
        verdict.ok_or_else(|| key.clone()),
    );
    Ok(())
}

fn removed(page: &mut Page, scene: Scene<'_>) -> Result<()> {
    drop(scene);
    page.claim(
        "The node made for the demo is gone too: network namespaces, cgroups, files.",
        same(&sweep::of_this_process()?, &Vec::new()),
    );
    Ok(())
}
