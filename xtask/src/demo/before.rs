//! What pods get from a node without the agent.

use anyhow::Result;
use bpf2iam_support::stage::NODE_KEY;

use super::{
    ask::{ROLES, USER_DATA},
    page::Page,
    scene::Scene,
};

/// Asks from every pod.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("Without bpf2iam: whoever asks gets the keys of the node's own role");
    let mut rows = Vec::new();
    let mut others = Vec::new();
    for actor in scene.cast() {
        let [list, keys] = scene.ask_for_keys(actor)?;
        let key = keys.key();
        if !key.starts_with(NODE_KEY) {
            others.push(format!("{}: {key}", actor.name()));
        }
        let data = scene.ask(actor, &[USER_DATA])?;
        if data.text().is_none() {
            others.push(format!("{}: user data: {data}", actor.name()));
        }
        rows.push([actor.name(), list.to_string(), key]);
    }
    let role = &rows[0][1];
    page.command(&format!("curl {ROLES}"));
    page.command(&format!("curl {ROLES}{role}"));
    page.space();
    page.table(["IN POD", "ROLE", "ACCESS KEY"], &rows);
    page.space();
    let none = others.is_empty().then_some(());
    page.claim(
        &format!(
            "All four hold keys of the node ({NODE_KEY}...) and can read its user data: \
             this is the problem."
        ),
        none.ok_or_else(|| others.join("\n")),
    );
    Ok(())
}
