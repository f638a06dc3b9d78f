//! A node with everything on it that a story needs: stand-ins for the metadata service and for STS, pods with
//! manifests, and the agent itself, each a program of its own.
//!
//! The agent finds region and keys as it would on EC2: it asks the metadata address, from beside the pods. So the keys
//! that it signs with are the node's, and a pod that sees any with `AKIDNODE` sees what it must not.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Node, Options, Place, Pod,
    addresses::{METADATA_V4, METADATA_V6, NODE_V4, NODE_V6},
    client::PodClient,
    manifest,
    pod::Spec,
    process::{Process, output},
};

mod agent;
mod control;
pub(crate) mod pinned;

pub use agent::Agent;
pub use control::Control;

/// Where each stage has a directory of its own, which is removed with its node.
pub(crate) const DIRECTORY: &str = "/run";
/// The manifests, in that directory.
const PODS: &str = "pods";

/// How long a program may take until it says that it is ready.
const START: Duration = Duration::from_secs(20);
/// How long a question to a program may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What `BPF2IAM_BIN` names: the agent, with its BPF object in it.
const AGENT: &str = "BPF2IAM_BIN";

/// Where STS is, in the node and for its pods.
pub const STS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(NODE_V4), 8080);
/// Where the agent's admin port is, in the node.
pub const ADMIN: &str = "127.0.0.1:9998";
/// What is put before the names of roles.
pub const BASE_ARN: &str = "arn:aws:iam::123456789012:role/";
/// What the access keys of the node's own role begin with.
pub const NODE_KEY: &str = "AKIDNODE";

/// The programs on the stage.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `bpf2iam`.
    pub agent: PathBuf,
    /// `imds-standin`.
    pub imds: PathBuf,
    /// `sts-standin`.
    pub sts: PathBuf,
    /// `pod-client`.
    pub client: PodClient,
    /// `libtold_time.so`, for [`ToldTime`](crate::told_time::ToldTime).
    pub told_time: PathBuf,
}

impl Programs {
    /// The agent that `BPF2IAM_BIN` names, and the others from the directory that cargo puts them into.
    pub fn find() -> Result<Self> {
        let agent = env::var_os(AGENT)
            .with_context(|| format!("{AGENT} does not name the agent: run `cargo xtask test`"))?;
        let this = env::current_exe().context("this program's own path")?;
        let beside = |name: &str| {
            let mut found = this.ancestors().skip(1).take(2).map(|dir| dir.join(name));
            found.find(|program| program.is_file()).with_context(|| {
                format!(
                    "no {name} beside {}: run `cargo xtask test`",
                    this.display()
                )
            })
        };
        Ok(Self {
            agent: agent.into(),
            imds: beside("imds-standin")?,
            sts: beside("sts-standin")?,
            client: PodClient::find()?,
            told_time: beside("libtold_time.so")?,
        })
    }
}

/// A node with the stand-ins running, and no agent yet.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    environment: Vec<(OsString, OsString)>,
    scratch: PathBuf,
    /// The stand-ins, until they are stopped.
    imds: Option<Process>,
    sts: Option<Process>,
    control: Control,
    node: Node,
}

impl Stage {
    /// Sets the stage. `sts` are more arguments for the stand-in of STS.
    pub fn set(programs: Programs, options: Options, sts: &[&str]) -> Result<Self> {
        Self::set_in(Vec::new(), programs, options, sts)
    }

    /// As [`set`](Self::set), with an environment for the stand-ins and the agent.
    pub fn set_in(
        environment: Vec<(OsString, OsString)>,
        programs: Programs,
        options: Options,
        sts: &[&str],
    ) -> Result<Self> {
        let node = Node::create(options)?;
        let scratch = scratch(&node)?;
        let mut stage = Self {
            programs,
            environment,
            imds: None,
            sts: None,
            control: Control::prepare("sts-standin", &scratch)?,
            scratch,
            node,
        };
        stage.start_imds(&[])?;
        stage.start_sts(STS, sts)?;
        Ok(stage)
    }

    /// Starts the metadata service, instead of the one that runs.
    pub fn start_imds(&mut self, args: &[&str]) -> Result<()> {
        self.imds = None;
        let mut command = self.command(&self.programs.imds)?;
        for ip in [METADATA_V4.into(), METADATA_V6.into()] {
            command.args(["--listen", &SocketAddr::new(ip, 80).to_string()]);
        }
        command.args(args);
        self.imds = Some(start("imds-standin", command)?);
        Ok(())
    }

    /// A program of the stage, on the node.
    fn command(&self, program: &Path) -> Result<Command> {
        let mut command = self.node.host().command(program)?;
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment);
        Ok(command)
    }

    /// Starts STS, instead of the one that runs.
    pub fn start_sts(&mut self, listen: SocketAddr, args: &[&str]) -> Result<()> {
        self.sts = None;
        self.control = Control::prepare("sts-standin", &self.scratch)?;
        let mut command = self.command(&self.programs.sts)?;
        command
            .args(["--listen", &listen.to_string()])
            .args(["--control", &self.control.address()])
            .args(args);
        self.sts = Some(start("sts-standin", command)?);
        Ok(())
    }

    /// Ends STS: nobody listens at its address any more.
    pub fn stop_sts(&mut self) {
        self.sts = None;
    }

    /// The process ids of the stand-ins.
    pub fn standins(&self) -> impl Iterator<Item = u32> {
        [&self.imds, &self.sts]
            .into_iter()
            .flatten()
            .map(Process::pid)
    }

    /// The node.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The programs.
    pub const fn programs(&self) -> &Programs {
        &self.programs
    }

    /// What tries things from inside a pod.
    pub const fn client(&self) -> &PodClient {
        &self.programs.client
    }

    /// A directory that goes with the stage.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Makes a pod, and writes its manifest to where the agent reads it.
    pub fn add_pod(&self, spec: Spec) -> Result<Pod> {
        let pod = self.node.add_pod(spec)?;
        manifest::write_pod(&self.manifests(), &pod)?;
        Ok(pod)
    }

    /// Makes a pod in namespace `shop` that names `role`.
    pub fn add_pod_with_role(&self, name: &str, role: &str) -> Result<Pod> {
        self.add_pod(Spec::new("shop", name).annotation("iam.amazonaws.com/role", role))
    }

    /// The directory of the manifests.
    pub fn manifests(&self) -> PathBuf {
        self.scratch.join(PODS)
    }

    /// The agent's runtime directory.
    pub fn runtime_dir(&self) -> PathBuf {
        self.scratch.join("run")
    }

    /// Where the agent pins what outlives it: on a file system of the stage's own, and all of it goes with that.
    pub fn pin_dir(&self) -> PathBuf {
        pinned::mount_point(&self.scratch).join("bpf2iam")
    }

    /// Asks the stand-in of STS: `GET /counts`, `GET /calls` and so on.
    pub fn ask_sts(&self, path: &str) -> Result<Value> {
        self.control.ask(path)
    }

    /// Replaces the rules of the stand-in of STS.
    pub fn set_sts_rules(&self, rules: &Value) -> Result<()> {
        self.control.tell("/rules", rules)
    }

    /// The agent with all it needs on this stage, not started, and `args` besides.
    pub fn agent(&self, args: &[&str]) -> Result<Command> {
        self.agent_in(&self.node.host(), &[], args)
    }

    /// The agent in another `place`, started by the words of `launcher` if there are any. What `args` set is not
    /// set a second time.
    pub fn agent_in(&self, place: &Place, launcher: &[&str], args: &[&str]) -> Result<Command> {
        let mut words = launcher.iter().map(OsStr::new);
        let agent = self.programs.agent.as_os_str();
        let mut command = place.command(words.next().unwrap_or(agent))?;
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_ENDPOINT_URL_STS", format!("http://{STS}"))
            .args(words)
            .args((!launcher.is_empty()).then_some(agent))
            .arg("run");
        for (flag, value) in self.settings() {
            if !args.contains(&flag) {
                command.arg(flag).arg(value);
            }
        }
        command.args(args);
        Ok(command)
    }

    fn settings(&self) -> [(&'static str, OsString); 9] {
        let pods = format!("file:{}", self.manifests().display());
        [
            ("--node-name", self.node.name().into()),
            ("--admin-listen", ADMIN.into()),
            ("--node-ip", format!("{NODE_V4},{NODE_V6}").into()),
            ("--base-role-arn", BASE_ARN.into()),
            ("--pods", pods.into()),
            ("--cgroup-root", self.node.cgroup_root().into()),
            ("--kubepods", self.node.kubepods().into()),
            ("--runtime-dir", self.runtime_dir().into()),
            ("--pin-dir", self.pin_dir().into()),
        ]
    }

    /// Starts the agent and waits until it is ready.
    pub fn start_agent(&self, args: &[&str]) -> Result<Agent> {
        let process = Process::spawn("bpf2iam", self.agent(args)?)?;
        Agent::ready(process, self)
    }

    /// `bpf2iam uninstall` on the node, not started.
    pub fn uninstaller(&self, args: &[&str]) -> Result<Command> {
        let mut command = self.node.host().command(&self.programs.agent)?;
        command
            .arg("uninstall")
            .arg("--pin-dir")
            .arg(self.pin_dir())
            .arg("--cgroup-root")
            .arg(self.node.cgroup_root())
            .arg("--kubepods")
            .arg(self.node.kubepods())
            .arg("--runtime-dir")
            .arg(self.runtime_dir())
            .args(args);
        Ok(command)
    }

    /// Runs it; says whether it ended well, and what it said.
    pub fn uninstall(&self, args: &[&str]) -> Result<(bool, String)> {
        let output = output(&mut self.uninstaller(args)?, ANSWER)?;
        let said = [output.stdout, output.stderr].concat();
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }

    /// Gets a page of the agent's admin port, whatever its status.
    pub fn admin(&self, path: &str) -> Result<String> {
        let mut curl = self.node.host().command("curl")?;
        curl.args(["-sS", "-m", "5", "--noproxy", "*"])
            .arg(format!("http://{ADMIN}{path}"));
        let output = output(&mut curl, ANSWER)?;
        ensure!(output.status.success(), "curl {path}: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn start(name: &'static str, command: Command) -> Result<Process> {
    let process = Process::spawn(name, command)?;
    process.wait_for_line(|line| line.contains("ready"), START)?;
    Ok(process)
}

/// A directory that goes with the node.
fn scratch(node: &Node) -> Result<PathBuf> {
    let scratch = Path::new(DIRECTORY).join(node.name());
    let pods = scratch.join(PODS);
    fs::create_dir_all(&pods).with_context(|| pods.display().to_string())?;
    pinned::mount(&scratch)?;
    Ok(scratch)
}
