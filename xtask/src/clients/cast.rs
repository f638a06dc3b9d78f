//! The pods, and what runs in them at the same time.

use std::{
    fs,
    panic::resume_unwind,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, pod::Spec, process::output, stage::Stage};

use super::{
    client::{Client, Kit},
    moto,
    table::Table,
    transport::Transport,
    verdict::{Expected, Ran, judge},
};

/// No client takes that long, whatever it meets.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether there is an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    WithoutAgent,
    WithAgent,
}

/// The pods of the stage.
pub(super) struct Cast {
    members: Vec<Member>,
}

/// A pod with a role of its own, or none.
struct Member {
    pod: Pod,
    /// What the ARN of each session of the role begins with.
    sessions: Option<String>,
    home: PathBuf,
}

impl Cast {
    /// Two pods with a role each, and one without.
    pub(super) fn gather(stage: &Stage) -> Result<Self> {
        let roles = [
            ("billing", Some("bill-writer")),
            ("search", Some("index-reader")),
            ("web", None),
        ];
        let members = roles.map(|(name, role)| Member::new(stage, name, role));
        Ok(Self {
            members: members.into_iter().collect::<Result<_>>()?,
        })
    }

    /// Runs every client by every transport.
    pub(super) fn play(&self, kit: &Kit, scene: Scene, table: &mut Table) -> Result<()> {
        for client in Client::ALL {
            for transport in Transport::ALL {
                let all = self.at_once(kit, client, transport)?;
                let successes = all.iter().filter_map(|(_, ran)| ran.as_ref().ok());
                let slowest = successes.filter_map(Ran::time_to_success).max();
                for (member, ran) in all {
                    let expected = member.expected(scene, slowest.unwrap_or_default());
                    let verdict = ran
                        .map_err(|error| format!("{error:#}"))
                        .and_then(|ran| judge(&expected, client.lament(), &ran));
                    let row = [client.name(), transport.name(), &member.pod.spec().name];
                    table.add(row, verdict);
                }
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
        let mut commands = Vec::new();
        for member in &self.members {
            let command = client.command(kit, &member.pod, &member.home, transport)?;
            commands.push((member, command));
        }
        Ok(thread::scope(|scope| {
            let start = |(member, mut command)| (member, scope.spawn(move || ran(&mut command)));
            let running: Vec<_> = commands.into_iter().map(start).collect();
            let ended = running.into_iter().map(|(member, thread)| {
                let ran = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                (member, ran)
            });
            ended.collect()
        }))
    }
}

impl Member {
    fn new(stage: &Stage, name: &str, role: Option<&str>) -> Result<Self> {
        let home = stage.scratch().join(format!("home-{name}"));
        fs::create_dir(&home).with_context(|| home.display().to_string())?;
        let pod = match role {
            Some(role) => stage.add_pod_with_role(name, role)?,
            None => stage.add_pod(Spec::new("shop", name))?,
        };
        let sessions = role.map(|role| format!("arn:aws:sts::123456789012:assumed-role/{role}/"));
        Ok(Self {
            pod,
            sessions,
            home,
        })
    }

    /// `slowest` is how long those took who found credentials, at the same time.
    fn expected(&self, scene: Scene, slowest: Duration) -> Expected<'_> {
        match (scene, &self.sessions) {
            (Scene::WithoutAgent, _) => Expected::Node {
                arn: moto::STRANGER,
            },
            (Scene::WithAgent, Some(sessions)) => Expected::Role { sessions },
            (Scene::WithAgent, None) => Expected::Nobody { slowest },
        }
    }
}

fn ran(command: &mut Command) -> Result<Ran> {
    let started = Instant::now();
    let output = output(command, PATIENCE)?;
    Ok(Ran::new(&output, started.elapsed()))
}
