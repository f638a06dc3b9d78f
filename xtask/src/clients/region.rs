//! Clients that nobody tells where they are: they ask the metadata service, and are told what it knows of the node.

use anyhow::Result;
use bpf2iam_support::stage::{Agent, Stage};

use super::{
    access::{self, Access},
    client::{Client, REGION},
    column::Column,
    kit::Kit,
    member::Member,
    ran::at_once,
    table::Table,
    task::Task,
    transport::Transport,
    verdict::{Expected, judge},
};

/// The pods, and so how many clients run at the same time.
const PODS: [&str; 3] = ["here", "there", "nowhere"];
/// What all of them are.
const ROLE: &str = "traveller";

/// Runs every client that can find the Region.
pub(super) fn play(stage: &Stage, agent: &Agent, kit: &Kit, table: &mut Table) -> Result<()> {
    let member = |pod| Member::new(stage, stage.add_pod_with_role(pod, ROLE)?, Some(ROLE));
    let members: Vec<_> = PODS.into_iter().map(member).collect::<Result<_>>()?;
    let able = |client: &Client| client.exempt(Column::Region).is_none();
    let clients: Vec<_> = Client::ALL.into_iter().filter(able).collect();
    for clients in clients.chunks(members.len()) {
        let mut commands = Vec::new();
        for (&client, member) in clients.iter().zip(&members) {
            let command = member.command(kit, client, Transport::Ipv4, Task::Region)?;
            let access = Access::of(agent, &member.pod);
            commands.push(((client, member, access), command));
        }
        for ((client, member, access), ran) in at_once(commands) {
            let verdict = ran
                .map_err(|error| format!("{error:#}"))
                .and_then(|ran| judge(&Expected::Region { name: REGION }, &ran))
                .and_then(|region| {
                    let asked = access.judge(access::about_instance)?;
                    Ok(format!("{region}: {asked}"))
                });
            table.show(client, Column::Region, ["region", member.name()], verdict);
        }
    }
    Ok(())
}
