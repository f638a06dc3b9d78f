//! The pods, and what runs in them at the same time.

use std::{
    fs,
    panic::resume_unwind,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{
    Pod,
    pod::Spec,
    process::output,
    stage::{BASE_ARN, Stage},
};

use super::{
    client::{Client, Kit},
    cluster::Cluster,
    moto::{self, Moto},
    table::Table,
    transport::Transport,
    verdict::{Expected, Ran, judge},
    web_identity::{self, Bearer},
};

/// No client takes that long, whatever it meets.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a pod is told its role, as soon as there are keys.
const ROLES: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

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
    role: Option<&'static str>,
    /// What the ARN of each session of the role begins with.
    sessions: Option<String>,
    home: PathBuf,
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
            let mut curl = member.pod.command("curl")?;
            curl.args(["-sS", "--fail", "--retry", "20", "--retry-delay", "1"])
                .arg(ROLES);
            let output = output(&mut curl, PATIENCE)?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}: {said}", member.pod.spec());
        }
        Ok(())
    }

    /// How many pods there are.
    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether STS gave the roles to the pods' tokens, and nothing to anybody's keys.
    pub(super) fn audit(&self, moto: &Moto, table: &mut Table) -> Result<()> {
        let calls = moto.calls()?;
        for member in &self.members {
            let Some(role) = member.role else { continue };
            let verdict = member.audit(&format!("{BASE_ARN}{role}"), &calls);
            table.add(["STS", "web identity", &member.pod.spec().name], verdict);
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
        kit: &Kit,
        scene: Scene,
        transports: &[Transport],
        table: &mut Table,
    ) -> Result<()> {
        for client in Client::ALL {
            for &transport in transports {
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
    fn new(stage: &Stage, pod: Pod, role: Option<&'static str>) -> Result<Self> {
        let home = stage.scratch().join(format!("home-{}", pod.spec().name));
        fs::create_dir(&home).with_context(|| home.display().to_string())?;
        let sessions = role.map(|role| format!("arn:aws:sts::123456789012:assumed-role/{role}/"));
        Ok(Self {
            pod,
            role,
            sessions,
            home,
        })
    }

    /// What STS was asked for this pod, which has `role`.
    fn audit(&self, role: &str, calls: &[moto::Call]) -> Result<String, String> {
        let spec = self.pod.spec();
        let bearer = Bearer {
            namespace: &spec.namespace,
            pod: &spec.name,
            uid: self.pod.uid(),
            account: &spec.service_account,
            role,
        };
        web_identity::judge(bearer, calls)
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
