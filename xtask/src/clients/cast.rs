//! The pods, and what runs in all of them at the same time.

use std::time::Duration;

use anyhow::{Result, ensure};
use bpf2iam_support::{
    Pod,
    pod::Spec,
    process::output,
    stage::{Agent, BASE_ARN, Stage},
};
use jiff::Timestamp;

use super::{
    access::{self, Access},
    client::Client,
    cluster::Cluster,
    column::Column,
    kit::Kit,
    member::Member,
    moto::{self, Moto},
    peer::Service,
    ran::{PATIENCE, Ran, at_once, slowest},
    reference::{Lack, Reference},
    scene::Scene,
    table::Table,
    task::Task,
    transport::Transport,
    verdict::{Expected, judge},
    web_identity,
};

/// Where a pod gets a token.
const TOKEN: &str = "http://169.254.169.254/latest/api/token";
/// Where a pod is told its role, as soon as there are keys.
const ROLES: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

/// The pods of the stage.
pub(super) struct Cast {
    members: Vec<Member>,
}

/// What the clients are run in, and held against.
#[derive(Clone, Copy)]
pub(super) struct Play<'a> {
    pub(super) kit: &'a Kit,
    pub(super) scene: Scene,
    /// Who is asked.
    pub(super) asked: Asked<'a>,
    pub(super) reference: &'a Reference,
}

/// Who answers the clients, and knows what they asked.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Service(&'a Service),
    Agent(&'a Agent),
}

impl Cast {
    /// Two pods that name a role each, and one that names none.
    pub(super) fn gather(stage: &Stage) -> Result<Self> {
        let member = |(name, role): (&str, Option<&'static str>)| {
            let pod = match role {
                Some(role) => stage.add_pod_with_role(name, role)?,
                None => stage.add_pod(Spec::new("shop", name))?,
            };
            Member::new(stage, pod, role)
        };
        let roles = [
            ("billing", Some("bill-writer")),
            ("search", Some("index-reader")),
            ("web", None),
        ];
        let members = roles.into_iter().map(member).collect::<Result<_>>()?;
        Ok(Self { members })
    }

    /// Two pods of a cluster whose ServiceAccounts have a role each, and one whose ServiceAccount has none.
    pub(super) fn of_accounts(stage: &Stage, cluster: &Cluster) -> Result<Self> {
        let member = |(name, account, role): (&str, &str, Option<&'static str>)| {
            let spec = Spec::new("shop", name).service_account(account);
            let pod = stage.node().add_pod(spec)?;
            cluster.add(&pod, role)?;
            Member::new(stage, pod, role)
        };
        let roles = [
            ("till", "clerk", Some("till-writer")),
            ("shelf", "storekeeper", Some("shelf-reader")),
            ("door", "default", None),
        ];
        let members = roles.into_iter().map(member).collect::<Result<_>>()?;
        Ok(Self { members })
    }

    /// Lets the pods ask until the agent has keys for them. It would take its time, since they ran before it did; and
    /// on a busy machine longer than a client waits.
    pub(super) fn ask_for_keys(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.role.is_some()) {
            ask_for_keys(&member.pod)?;
        }
        Ok(())
    }

    /// The pods.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether STS gave the roles to the pods' tokens, and nothing to anybody's keys.
    pub(super) fn audit(&self, moto: &Moto, table: &mut Table) -> Result<()> {
        let calls = moto.calls()?;
        for member in &self.members {
            let Some(role) = &member.role else { continue };
            let verdict = member.audit(&format!("{BASE_ARN}{role}"), &calls);
            table.add(["STS", "web identity", member.name()], verdict);
        }
        table.add(
            ["STS", "web identity", ""],
            web_identity::judge_rest(&calls),
        );
        Ok(())
    }

    /// Runs every client by all of `transports`.
    pub(super) fn play(
        &self,
        play: Play<'_>,
        transports: &[Transport],
        table: &mut Table,
    ) -> Result<()> {
        for client in Client::ALL {
            for &transport in transports {
                self.perform(play, client, transport, table)?;
            }
        }
        Ok(())
    }

    /// Runs one client in all pods at once, and judges it.
    fn perform(
        &self,
        play: Play<'_>,
        client: Client,
        transport: Transport,
        table: &mut Table,
    ) -> Result<()> {
        let since = Timestamp::now();
        let all = self.at_once(play.kit, client, transport)?;
        let meanwhile = slowest(&all);
        for (member, ran) in all {
            let verdict = ran
                .map_err(|error| format!("{error:#}"))
                .and_then(|ran| judge(&play.expected(member, client, meanwhile), &ran));
            let column = play.scene.column(transport, member.role.as_deref());
            let place = [transport.name(), member.name()];
            let is_right = verdict.is_ok();
            table.show(client, column, place, verdict);
            if is_right
                && let Some((column, verdict)) = play.evidence(member, client, transport, since)
            {
                table.show(client, column, place, verdict);
            }
        }
        Ok(())
    }

    /// Runs one client in all pods at once.
    fn at_once(
        &self,
        kit: &Kit,
        client: Client,
        transport: Transport,
    ) -> Result<Vec<(&Member, Result<Ran>)>> {
        let command = |member| {
            Ok((
                member,
                Member::command(member, kit, client, transport, Task::Caller)?,
            ))
        };
        let commands: Result<_> = self.members.iter().map(command).collect();
        Ok(at_once(commands?))
    }
}

impl<'a> Play<'a> {
    /// The same with an agent.
    pub(super) fn with<'b>(self, agent: &'b Agent, scene: Scene) -> Play<'b>
    where
        'a: 'b,
    {
        Play {
            scene,
            asked: Asked::Agent(agent),
            ..self
        }
    }

    /// What whoever was asked says of how it was, for this column.
    fn evidence(
        &self,
        member: &Member,
        client: Client,
        transport: Transport,
        since: Timestamp,
    ) -> Option<(Column, Result<String, String>)> {
        match self.asked {
            Asked::Service(service) => {
                let column = self.scene.column(transport, None);
                Some((column, service.judge(&member.pod, transport, since)))
            }
            Asked::Agent(agent) => {
                let has_sequence =
                    member.role.is_some() && client.exempt(Column::Sequence).is_none();
                let access = Access::since(since, agent, &member.pod);
                has_sequence.then(|| (Column::Sequence, access.judge(access::sequence)))
            }
        }
    }

    /// Who `client` has to be. `meanwhile` is how long it took in other pods.
    fn expected<'b>(
        &self,
        member: &'b Member,
        client: Client,
        meanwhile: Duration,
    ) -> Expected<'b> {
        let nobody = |lack| Expected::Nobody {
            lament: client.lament(lack),
            limit: self.reference.limit(client, lack, meanwhile),
        };
        match (self.scene, member.expected()) {
            (Scene::Node, _) => Expected::Node {
                arn: moto::STRANGER,
            },
            (Scene::TokensRequired, _) if !client.has_tokens() => nobody(Lack::Token),
            (Scene::Agent | Scene::TokensRequired, Some(role)) => role,
            (Scene::Agent | Scene::TokensRequired, None) => nobody(Lack::Role),
        }
    }
}

/// Lets a pod ask until there are keys for it.
pub(super) fn ask_for_keys(pod: &Pod) -> Result<()> {
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60";
    let token = ask(pod, &["-X", "PUT", "-H", ttl, TOKEN])?;
    let token = format!("X-aws-ec2-metadata-token: {token}");
    ask(pod, &["-H", &token, ROLES]).map(drop)
}

fn ask(pod: &Pod, args: &[&str]) -> Result<String> {
    let mut curl = pod.command("curl")?;
    curl.args(["-sS", "--fail", "--retry", "20", "--retry-delay", "1"])
        .args(args);
    let output = output(&mut curl, PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", pod.spec());
    Ok(String::from_utf8(output.stdout)?)
}
