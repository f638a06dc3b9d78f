//! Other ways to ask, and what no pod gets.

use anyhow::Result;

use super::{
    ask::{Answer, METADATA, ROLES},
    page::{Page, Verdict, columns, same},
    scene::{Actor, Scene},
};

/// As [`METADATA`], on Nitro instances.
const ROLES_IPV6: &str = "http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials/";
/// What a socket for IPv6 connects to when it means the IPv4 address.
const ROLES_MAPPED: &str = "http://[::ffff:169.254.169.254]/latest/meta-data/iam/security-credentials/";
/// What an IMDSv2 client says first; in seconds.
const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds: 60";

/// One line of the table.
struct Try {
    what: &'static str,
    pod: String,
    seen: String,
    verdict: Verdict,
}

/// Tries them.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("Other ways to ask, and what no pod gets");
    let mut tries = served(scene)?;
    tries.extend(refused(scene)?);
    let rows: Vec<_> = tries
        .iter()
        .map(|t| [t.pod.clone(), t.what.to_owned(), t.seen.clone()])
        .collect();
    for (line, done) in columns(&rows).iter().zip(tries) {
        page.claim(line, done.verdict);
    }
    Ok(())
}

/// Each gives the pod's own role.
fn served(scene: &Scene<'_>) -> Result<Vec<Try>> {
    let pod = &scene.invoices;
    let token = token(scene, pod)?;
    let role = |what, args: &[&str]| -> Result<Try> {
        let answer = scene.ask(pod, args)?;
        let verdict = same(&answer.text(), &pod.role);
        Ok(attempt(what, pod, &answer, verdict))
    };
    Ok(vec![
        role("IMDSv2: with a token that it asked for", &["-H", &token, ROLES])?,
        role("by IPv6, at fd00:ec2::254", &[ROLES_IPV6])?,
        role("by an IPv6 socket, as Java does, at ::ffff:169.254.169.254", &[ROLES_MAPPED])?,
    ])
}

/// None gives anything.
fn refused(scene: &Scene<'_>) -> Result<Vec<Try>> {
    let pod = &scene.dashboard;
    let others_token = token(scene, &scene.invoices)?;
    let others_keys = format!("{ROLES}{}", scene.invoices.role.unwrap_or_default());
    let user_data = METADATA.replace("meta-data", "") + "/user-data";
    let status = |what, wanted: u16, args: &[&str]| -> Result<Try> {
        let answer = scene.ask(pod, args)?;
        let verdict = same(&answer.status, &wanted);
        Ok(attempt(what, pod, &answer, verdict))
    };
    Ok(vec![
        status("with the token of shop/invoices", 401, &["-H", &others_token, ROLES])?,
        status("the keys of shop/invoices' role", 404, &[&others_keys])?,
        status("the keys of the node's role", 404, &[&format!("{ROLES}node-role")])?,
        status("the instance's user data", 404, &[&user_data])?,
    ])
}
