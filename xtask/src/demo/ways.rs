//! Other ways to ask, and what no pod gets.

use anyhow::Result;

use super::{
    ask::{METADATA, ROLES, USER_DATA},
    page::{Page, Verdict, columns, same},
    scene::{Actor, Scene},
};

/// As [`ROLES`], where Nitro instances have it too.
const ROLES_IPV6: &str = "http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials/";
/// As [`ROLES`], for a socket that knows IPv6 only.
const ROLES_MAPPED: &str =
    "http://[::ffff:169.254.169.254]/latest/meta-data/iam/security-credentials/";
/// How a client asks for an IMDSv2 token: how long it shall live, in seconds.
const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds: 60";
/// The node's role.
const NODE: &str = "node-role";

/// One thing that was tried.
struct Try {
    /// Pod, what, what came.
    row: [String; 3],
    verdict: Verdict,
}

impl Try {
    fn new(actor: &Actor, what: &str, came: &impl ToString, verdict: Verdict) -> Self {
        Self {
            row: [actor.name(), what.to_owned(), came.to_string()],
            verdict,
        }
    }
}

/// The Region, where every pod may know it.
const PLACE: &str = "http://169.254.169.254/latest/meta-data/placement/region";
/// The address of the node, which no pod needs.
const ADDRESS: &str = "http://169.254.169.254/latest/meta-data/local-ipv4";
/// The stand-in's.
const REGION: &str = "eu-west-1";

/// Tries them.
pub(super) fn tell(page: &mut Page, scene: &Scene<'_>) -> Result<()> {
    page.chapter("Other ways to ask, and what no pod gets");
    let mut tries = served(scene)?;
    tries.extend(refused(scene)?);
    tries.extend(around(scene)?);
    let (rows, verdicts): (Vec<_>, Vec<_>) = tries.into_iter().map(|t| (t.row, t.verdict)).unzip();
    for (line, verdict) in columns(&rows).iter().zip(verdicts) {
        page.claim(line, verdict);
    }
    Ok(())
}

/// Each gives the pod's own role.
fn served(scene: &Scene<'_>) -> Result<Vec<Try>> {
    let pod = &scene.invoices;
    let role = |what, args: &[&str]| -> Result<Try> {
        let answer = scene.ask(pod, args)?;
        let verdict = same(&answer.text(), &pod.role);
        Ok(Try::new(pod, what, &answer, verdict))
    };
    let token = token(scene, pod)?;
    Ok(vec![
        role("by IMDSv2, with a token", &["-H", &token, ROLES])?,
        role("by IPv6, at fd00:ec2::254", &[ROLES_IPV6])?,
        role("by an IPv6 socket, as Java does", &[ROLES_MAPPED])?,
        region(scene, pod)?,
    ])
}

/// What is nobody's secret is the node's own.
fn region(scene: &Scene<'_>, pod: &Actor) -> Result<Try> {
    let answer = scene.ask(pod, &[PLACE])?;
    let verdict = same(&answer.text(), &Some(REGION));
    Ok(Try::new(
        pod,
        "the Region, as SDKs find it out",
        &answer,
        verdict,
    ))
}

/// None gives anything.
fn refused(scene: &Scene<'_>) -> Result<Vec<Try>> {
    let (pod, other) = (&scene.dashboard, &scene.invoices);
    let status = |what: &str, wanted: u16, args: &[&str]| -> Result<Try> {
        let answer = scene.ask(pod, args)?;
        let verdict = same(&answer.status, &wanted);
        Ok(Try::new(pod, what, &answer, verdict))
    };
    let token = token(scene, other)?;
    let keys = format!("{ROLES}{}", other.role.unwrap_or_default());
    let node = format!("{ROLES}{NODE}");
    Ok(vec![
        status(
            "with the token of shop/invoices",
            401,
            &["-H", &token, ROLES],
        )?,
        status("keys of the role of shop/invoices", 404, &[&keys])?,
        status("keys of the node's role", 404, &[&node])?,
        status("user data of the instance", 404, &[USER_DATA])?,
        status("the address of the node", 404, &[ADDRESS])?,
    ])
}

/// The kernel lets none get past the agent to the real service.
fn around(scene: &Scene<'_>) -> Result<Vec<Try>> {
    let pod = &scene.dashboard;
    let attempt = |what, name| -> Result<Try> {
        let report = scene.attempt(pod, name)?;
        let verdict = same(&report.error.as_deref(), &Some("EPERM"));
        let came = report.error.map_or_else(
            || "not refused".to_owned(),
            |error| format!("refused: {error}"),
        );
        Ok(Try::new(pod, what, &came, verdict))
    };
    Ok(vec![
        attempt("a UDP datagram to the address", "udp-sendto")?,
        attempt("a packet by a raw socket, as root", "raw-sendto")?,
    ])
}

/// The header with a token that `actor` asks for.
fn token(scene: &Scene<'_>, actor: &Actor) -> Result<String> {
    let url = format!("{METADATA}/api/token");
    let token = scene.ask(actor, &["-X", "PUT", "-H", TTL, &url])?;
    Ok(format!("X-aws-ec2-metadata-token: {}", token.body))
}
