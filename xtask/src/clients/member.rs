//! A pod that clients run in, and who they are there.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, stage::Stage};

use super::{
    client::Client,
    kit::Kit,
    moto,
    ran::Ran,
    task::Task,
    transport::Transport,
    verdict::{Expected, judge},
    web_identity::{self, Bearer},
};

/// A pod with a role of its own, or none.
pub(super) struct Member {
    pub(super) pod: Pod,
    pub(super) role: Option<String>,
    /// What the ARN of each session of the role begins with.
    sessions: Option<String>,
    home: PathBuf,
}

impl Member {
    pub(super) fn new(stage: &Stage, pod: Pod, role: Option<&str>) -> Result<Self> {
        let home = stage.scratch().join(format!("home-{}", pod.spec().name));
        fs::create_dir(&home).with_context(|| home.display().to_string())?;
        let sessions = role.map(|role| format!("arn:aws:sts::123456789012:assumed-role/{role}/"));
        Ok(Self {
            pod,
            role: role.map(str::to_owned),
            sessions,
            home,
        })
    }

    /// The pod's name.
    pub(super) fn name(&self) -> &str {
        &self.pod.spec().name
    }

    /// A client in it.
    pub(super) fn command(
        &self,
        kit: &Kit,
        client: Client,
        transport: Transport,
        task: Task,
    ) -> Result<Command> {
        client.command(kit, (&self.pod, &self.home), transport, task)
    }

    /// Its role, if it has one.
    pub(super) fn expected(&self) -> Option<Expected<'_>> {
        let sessions = self.sessions.as_deref()?;
        Some(Expected::Role { sessions })
    }

    /// Whether a client is who it is in here, where there is a role.
    pub(super) fn judge(&self, ran: &Ran) -> Result<String, String> {
        let expected = self.expected().ok_or("there is no role")?;
        judge(&expected, ran)
    }

    /// What STS was asked for this pod, which has the role with this ARN.
    pub(super) fn audit(&self, role: &str, calls: &[moto::Call]) -> Result<String, String> {
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
}
