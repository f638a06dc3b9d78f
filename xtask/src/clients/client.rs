//! The clients: how each is run, and how each says that there are no credentials.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use bpf2iam_support::{Pod, stage::STS};

use super::{transport::Transport, venv::Venv};

/// Where the system's programs are.
const SYSTEM_PATH: &str = "/usr/bin:/bin";
/// Where the node is. The agent does not let a pod ask for it.
const REGION: &str = "eu-west-1";

/// How a client is told where the metadata service is.
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// How an SDK is told to take the IPv6 address that it knows.
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// What the clients are made of.
pub(super) struct Kit {
    /// boto3 and the AWS CLI.
    pub(super) venv: Venv,
    /// The directory of the scripts.
    pub(super) scripts: PathBuf,
    /// The program on the AWS SDK for Rust.
    pub(super) aws_config: PathBuf,
    /// The one of them that runs for long.
    pub(super) aws_config_service: PathBuf,
}

/// A client. Where there are credentials it prints the id of the access key, a space, and what STS calls their
/// bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Boto3,
    AwsCli,
    CurlImdsV1,
    CurlImdsV2,
    AwsConfig,
}

impl Client {
    pub(super) const ALL: [Self; 5] = [
        Self::Boto3,
        Self::AwsCli,
        Self::CurlImdsV1,
        Self::CurlImdsV2,
        Self::AwsConfig,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Boto3 => "boto3",
            Self::AwsCli => "AWS CLI v1",
            Self::CurlImdsV1 => "curl, IMDSv1",
            Self::CurlImdsV2 => "curl, IMDSv2",
            Self::AwsConfig => "aws-config",
        }
    }

    /// Whether it knows where the metadata service is.
    const fn is_sdk(self) -> bool {
        !matches!(self, Self::CurlImdsV1 | Self::CurlImdsV2)
    }

    /// What it says on an instance without a role.
    pub(super) const fn lament(self) -> &'static str {
        match self {
            Self::Boto3 | Self::AwsCli => "Unable to locate credentials",
            Self::CurlImdsV1 | Self::CurlImdsV2 => "The requested URL returned error: 404",
            Self::AwsConfig => "received 404 from IMDS",
        }
    }

    /// botocore does not read the variable that all others read.
    const fn region_variable(self) -> &'static str {
        match self {
            Self::Boto3 | Self::AwsCli => "AWS_DEFAULT_REGION",
            Self::CurlImdsV1 | Self::CurlImdsV2 | Self::AwsConfig => "AWS_REGION",
        }
    }

    /// The client in a pod.
    pub(super) fn command(
        self,
        kit: &Kit,
        pod: &Pod,
        home: &Path,
        transport: Transport,
    ) -> Result<Command> {
        let mut command = self.in_pod(kit, pod, home, self.words(kit))?;
        command.envs(self.way(transport));
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
            Transport::Mapped => Some((ENDPOINT, "http://[::ffff:169.254.169.254]")),
            Transport::Ipv6 if self.is_sdk() => Some((MODE, "IPv6")),
            Transport::Ipv6 => Some((ENDPOINT, "http://[fd00:ec2::254]")),
        }
    }

    fn words(self, kit: &Kit) -> Vec<OsString> {
        let script = |name: &str| kit.scripts.join(name).into_os_string();
        match self {
            Self::Boto3 => vec![kit.venv.python().into(), script("with_boto3.py")],
            Self::AwsCli => vec!["/bin/sh".into(), script("with_aws_cli.sh")],
            Self::CurlImdsV1 => vec!["/bin/sh".into(), script("with_curl.sh"), "1".into()],
            Self::CurlImdsV2 => vec!["/bin/sh".into(), script("with_curl.sh"), "2".into()],
            Self::AwsConfig => vec![kit.aws_config.clone().into()],
        }
    }
}
