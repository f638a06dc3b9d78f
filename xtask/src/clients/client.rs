//! The clients, and how each is run.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::Result;
use bpf2iam_support::{Pod, stage::STS};

use super::{kit::Kit, task::Task, transport::Transport};

/// Where the system's programs are.
const SYSTEM_PATH: &str = "/usr/bin:/bin";
/// Where the node is.
pub(super) const REGION: &str = "eu-west-1";

/// How a client is told where the metadata service is.
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// How an SDK is told to take the IPv6 address that it knows.
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// A client. Where there are credentials it prints the id of the access key, a space, and what STS calls their
/// bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Boto3,
    Aiobotocore,
    AwsCli,
    AwsCliV2,
    JavaScript,
    Go,
    Java,
    AwsConfig,
    CurlImdsV1,
    CurlImdsV2,
}

impl Client {
    pub(super) const ALL: [Self; 10] = [
        Self::Boto3,
        Self::Aiobotocore,
        Self::AwsCli,
        Self::AwsCliV2,
        Self::JavaScript,
        Self::Go,
        Self::Java,
        Self::AwsConfig,
        Self::CurlImdsV1,
        Self::CurlImdsV2,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Boto3 => "boto3",
            Self::Aiobotocore => "aiobotocore",
            Self::AwsCli => "AWS CLI v1",
            Self::AwsCliV2 => "AWS CLI v2",
            Self::JavaScript => "JavaScript v3",
            Self::Go => "Go v2",
            Self::Java => "Java v2",
            Self::CurlImdsV1 => "curl, IMDSv1",
            Self::CurlImdsV2 => "curl, IMDSv2",
            Self::AwsConfig => "aws-config",
        }
    }

    /// Whether it knows where the metadata service is.
    const fn is_sdk(self) -> bool {
        !matches!(self, Self::CurlImdsV1 | Self::CurlImdsV2)
    }

    /// botocore does not read the variable that all others read.
    const fn region_variable(self) -> &'static str {
        match self {
            Self::Boto3 | Self::Aiobotocore | Self::AwsCli => "AWS_DEFAULT_REGION",
            Self::AwsCliV2
            | Self::JavaScript
            | Self::Go
            | Self::Java
            | Self::AwsConfig
            | Self::CurlImdsV1
            | Self::CurlImdsV2 => "AWS_REGION",
        }
    }

    /// The client in a pod.
    pub(super) fn command(
        self,
        kit: &Kit,
        (pod, home): (&Pod, &Path),
        transport: Transport,
        task: Task,
    ) -> Result<Command> {
        let mut words = self.words(kit);
        words.extend(task.words());
        let mut command = self.in_pod(kit, pod, home, words)?;
        command.envs(self.way(transport));
        if task == Task::Region {
            command.env_remove(self.region_variable());
        }
        Ok(command)
    }

    /// A program made of the client in a pod, with an environment that says nothing of credentials.
    pub(super) fn in_pod(
        self,
        kit: &Kit,
        pod: &Pod,
        home: &Path,
        words: Vec<OsString>,
    ) -> Result<Command> {
        let mut path = OsString::from(kit.venv.bin());
        path.push(":");
        path.push(SYSTEM_PATH);
        let mut words = words.into_iter();
        let mut command = pod.command(words.next().unwrap_or_default())?;
        command
            .args(words)
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .env("AWS_ENDPOINT_URL_STS", format!("http://{STS}"))
            .env(self.region_variable(), REGION);
        Ok(command)
    }

    /// What makes it go this way.
    fn way(self, transport: Transport) -> Option<(&'static str, &'static str)> {
        match transport {
            Transport::Ipv4 => None,
            // The AWS CLI v2 needs the slash: it puts its path behind the bracket as it is.
            Transport::Mapped => Some((ENDPOINT, "http://[::ffff:169.254.169.254]/")),
            Transport::Ipv6 if self.is_sdk() => Some((MODE, "IPv6")),
            Transport::Ipv6 => Some((ENDPOINT, "http://[fd00:ec2::254]")),
        }
    }

    fn words(self, kit: &Kit) -> Vec<OsString> {
        let script = |name: &str| kit.scripts.join(name).into_os_string();
        let python = |name| vec![kit.venv.python().into(), script(name)];
        let shell = |name, which: &str| vec!["/bin/sh".into(), script(name), which.into()];
        match self {
            Self::Boto3 => python("with_boto3.py"),
            Self::Aiobotocore => python("with_aiobotocore.py"),
            Self::AwsCli => shell("with_aws_cli.sh", "1"),
            Self::AwsCliV2 => shell("with_aws_cli.sh", "2"),
            Self::JavaScript => kit.javascript.clone(),
            Self::Go => kit.go.clone(),
            Self::Java => kit.java.clone(),
            Self::AwsConfig => vec![kit.aws_config.clone().into()],
            Self::CurlImdsV1 => shell("with_curl.sh", "1"),
            Self::CurlImdsV2 => shell("with_curl.sh", "2"),
        }
    }
}
