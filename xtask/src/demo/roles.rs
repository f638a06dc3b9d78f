//! What pods get with the agent: each its own role.

use anyhow::Result;
use bpf2iam_support::stage::BASE_ARN;

use super::{
    ask::ROLES,
    page::{Page, Verdict, same},
    scene::{Actor, Scene},
};

/// Asks from every pod again.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("With bpf2iam: the same two commands, and each pod gets its own role");
    let mut rows = Vec::new();
    let mut verdict = Ok(());
    for actor in scene.cast() {
        let (row, own) = own_role(scene, actor)?;
        rows.push(row);
        verdict = verdict.and(own);
    }
    page.table(
        ["IN POD", "ROLE", "ACCESS KEY", "STS GAVE IT OUT FOR"],
        &rows,
    );
    page.space();
    page.claim(
        "Each pod gets keys of the role that it names, as STS confirms; who names none gets none.",
        verdict,
    );
    document(page, scene)
}

/// A pod's row, and whether it got what it should.
fn own_role(scene: &Scene<'_>, actor: &Actor) -> Result<([String; 4], Verdict)> {
    let list = scene.ask(actor, &[ROLES])?;
    let Some(role) = list.text() else {
        let row = [actor.name(), list.to_string(), "-".into(), "-".into()];
        return Ok((row, same(&(list.status, None), &(404, actor.role))));
    };
    let keys = scene.ask(actor, &[&format!("{ROLES}{role}")])?;
    let key = keys.key();
    let owner = owner(scene, &key);
    let expected = actor
        .role
        .map(|role| (role.to_owned(), format!("{BASE_ARN}{role}")));
    let verdict = same(&Some((role.to_owned(), owner.clone())), &expected);
    Ok(([actor.name(), role.to_owned(), key, owner], verdict))
}

/// Whose an access key is. STS knows, for it gave it out.
fn owner(scene: &Scene<'_>, key: &str) -> String {
    let issued = scene.stage.ask_sts(&format!("/issued/{key}"));
    let role = issued
        .ok()
        .and_then(|issued| Some(issued["role"].as_str()?.to_owned()));
    role.unwrap_or_else(|| "nobody that STS knows".to_owned())
}

fn document(page: &Page, scene: &Scene<'_>) -> Result<()> {
    let Some(role) = scene.invoices.role else {
        return Ok(());
    };
    let url = format!("{ROLES}{role}");
    let keys = scene.ask(&scene.invoices, &[&url])?;
    page.space();
    page.text(&format!(
        "What {} sees, secrets cut short:",
        scene.invoices.name()
    ));
    page.command(&format!("curl {url}"));
    page.text(&keys.shortened());
    Ok(())
}
