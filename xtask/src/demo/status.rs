//! What the agent says of itself.

use std::collections::BTreeMap;

use anyhow::Result;
use bpf2iam_support::stage::{Agent, BASE_ARN};

use super::{
    page::{Page, same},
    scene::Scene,
};

/// Shows the status page.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>, agent: &Agent) -> Result<()> {
    page.chapter("What the agent says of itself");
    page.command("bpf2iam status");
    page.output(&agent.status_page(&[])?);
    let status = agent.status()?;
    let pods = status["pods"].as_array().into_iter().flatten();
    let said: BTreeMap<_, _> = pods
        .map(|pod| {
            let text = |field: &str| pod[field].as_str().map(str::to_owned);
            let name = [text("namespace"), text("name")].map(Option::unwrap_or_default);
            (name.join("/"), text("role"))
        })
        .collect();
    let true_roles = scene.cast().map(|actor| {
        let role = actor.role.map(|role| format!("{BASE_ARN}{role}"));
        (actor.name(), role)
    });
    page.space();
    page.claim(
        "It knows the four pods and their roles.",
        same(&said, &true_roles.into()),
    );
    Ok(())
}
