//! A client that runs all day in a pod of its own, and asks STS whenever it is told to.

use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, process::Process, stage::Stage, told_time::ToldTime};

use crate::clients::{client::Client, kit::Kit};

use super::log::Complaints;

/// How long an answer may take: every SDK has given up by then.
const ANSWER: Duration = Duration::from_secs(20);
/// How long it may take to end.
const END: Duration = Duration::from_secs(10);

/// Who runs all day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) client: Client,
    pub(super) pod: &'static str,
    pub(super) role: &'static str,
}

/// The client while it runs.
pub(super) struct Actor {
    part: Part,
    process: Process,
    log: PathBuf,
    failures: Vec<String>,
    /// Whose processes go with it.
    _pod: Pod,
}

/// What it said and wrote until its end.
pub(super) struct Said {
    pub(super) failures: Vec<String>,
    pub(super) complaints: Complaints,
}

impl Actor {
    /// Starts it in `pod`, where it is whatever `time` says.
    pub(super) fn start(
        stage: &Stage,
        kit: &Kit,
        part: Part,
        pod: Pod,
        time: &ToldTime,
    ) -> Result<Self> {
        let home = stage.scratch().join(format!("home-{}", part.pod));
        fs::create_dir(&home).with_context(|| home.display().to_string())?;
        let log = home.join("log");
        let mut words = program(part.client, kit)?;
        words.push(log.clone().into());
        let mut command = part.client.in_pod(kit, &pod, &home, words)?;
        command.envs(time.environment());
        Ok(Self {
            process: Process::spawn(part.client.name(), command)?,
            part,
            log,
            failures: Vec::new(),
            _pod: pod,
        })
    }

    pub(super) const fn part(&self) -> Part {
        self.part
    }

    /// Lets it ask, for the `number`th time.
    pub(super) fn ask(&mut self, number: u32) -> Result<()> {
        let sent = self.process.send_line(&number.to_string());
        sent.with_context(|| self.process.lines().join("\n"))
    }

    /// Hears what came of it.
    pub(super) fn hear(&mut self, number: u32) -> Result<()> {
        let own = format!("{number} ");
        let line = self
            .process
            .wait_for_line(|line| line.starts_with(&own), ANSWER)?;
        let session = format!(":assumed-role/{}/", self.part.role);
        if !line.contains(&session) {
            self.failures.push(line);
        }
        Ok(())
    }

    /// Ends it.
    pub(super) fn end(mut self) -> Result<Said> {
        self.process.close_input();
        self.process.wait(END)?;
        Ok(Said {
            failures: self.failures,
            complaints: Complaints::read(&self.log)?,
        })
    }
}

fn program(client: Client, kit: &Kit) -> Result<Vec<OsString>> {
    let python = |name: &str| {
        vec![
            kit.venv.python().into(),
            kit.scripts.join(name).into_os_string(),
        ]
    };
    match client {
        Client::Boto3 => Ok(python("serve_with_boto3.py")),
        Client::Aiobotocore => Ok(python("serve_with_aiobotocore.py")),
        Client::AwsConfig => Ok(vec![kit.aws_config_service.clone().into()]),
        Client::AwsCli
        | Client::AwsCliV2
        | Client::JavaScript
        | Client::Go
        | Client::Java
        | Client::CurlImdsV1
        | Client::CurlImdsV2 => anyhow::bail!("{} does not run all day", client.name()),
    }
}
