//! The agent with all that it needs, in this process: manifests, STS, an admin port, a control socket.

use std::{
    cell::RefCell,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use bpf2iam::{
    app::{Agent, Attachment},
    args::{Args, Command},
    clock::Clock,
    config::{Config, Machine},
    control,
    creds::sts::Sts,
    status::{self, Keys, Role, Status},
    telemetry::Format,
};
use bpf2iam_standins::sts::Rule;
use clap::Parser as _;
use serde_json::Value;
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use crate::{
    client::{Answer, Client},
    log::Log,
    openmetrics::Page,
    pod::{ByAddress, Pod},
    sts_host::StsHost,
    wait::until,
};

/// What is put before the names of roles.
pub(crate) const BASE_ARN: &str = "arn:aws:iam::123456789012:role/";
pub(crate) const REGION: &str = "eu-west-1";

/// The node's own keys. Whoever sees them outside of STS sees a leak.
pub(crate) const NODE_KEY: &str = "AKIDNODE000000000001";
pub(crate) const NODE_SECRET: &str = "node-secret-wJalrXUtnFEMIK7MDENG";
const NODE_TOKEN: &str = "node-token-IQoJb3JpZ2luX2VjEXAMPLE";

/// What shall be there when the agent starts.
#[derive(Default)]
pub(crate) struct Setup {
    pods: Vec<(Pod, Option<&'static str>)>,
    files: Vec<(&'static str, &'static str)>,
    args: Vec<String>,
    rules: Vec<Rule>,
    sts_is_down: bool,
}

/// The agent and what is around it. At its end no secret may be in anything that the agent said.
pub(crate) struct World {
    agent: Option<Agent>,
    listener: SocketAddr,
    admin: Option<SocketAddr>,
    sts: StsHost,
    directory: TempDir,
    pub(crate) log: Log,
    /// Pages of the admin port and of the control socket.
    said: RefCell<Vec<String>>,
    _logging: DefaultGuard,
}

impl Setup {
    /// A pod, with `role` in its annotation.
    pub(crate) fn pod(mut self, pod: Pod, role: impl Into<Option<&'static str>>) -> Self {
        self.pods.push((pod, role.into()));
        self
    }

    /// A file among the manifests.
    pub(crate) fn file(mut self, name: &'static str, text: &'static str) -> Self {
        self.files.push((name, text));
        self
    }

    /// One more argument of `bpf2iam run`.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// How STS misbehaves from the start.
    pub(crate) fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Nobody listens where STS should be.
    pub(crate) const fn sts_is_down(mut self) -> Self {
        self.sts_is_down = true;
        self
    }

    /// The agent, serving and ready. If STS behaves, its first answers are there.
    pub(crate) async fn start(self) -> World {
        let behaves = self.rules.is_empty() && !self.sts_is_down;
        let pods = self.pods.len();
        let mut world = self.open().await.unwrap();
        world.serve();
        if behaves {
            world.settles(pods).await;
        }
        world
    }

    /// The agent with its doors open, not yet serving.
    pub(crate) async fn open(self) -> anyhow::Result<World> {
        let (log, logging) = Log::capture();
        let directory = tempfile::tempdir()?;
        for part in ["pods", "run", "cgroup"] {
            fs::create_dir(directory.path().join(part))?;
        }
        for (pod, role) in &self.pods {
            write_pod(directory.path(), *pod, *role)?;
        }
        for (name, text) in &self.files {
            write(directory.path(), name, text)?;
        }
        let mut sts = StsHost::new(self.rules);
        if !self.sts_is_down {
            sts.start().await;
        }
        let source = Sts::new(&sdk(&sts.url()), Clock::system())?;
        let agent = Agent::open(&config(directory.path(), &self.args)?, source, None).await?;
        Ok(World {
            listener: agent.bound().listeners[0],
            admin: agent.bound().admin,
            agent: Some(agent),
            sts,
            directory,
            log,
            said: RefCell::default(),
            _logging: logging,
        })
    }
}

/// All of it given: region and keys are looked for nowhere.
fn sdk(endpoint: &str) -> SdkConfig {
    let token = Some(NODE_TOKEN.to_owned());
    let keys = Credentials::new(NODE_KEY, NODE_SECRET, token, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn config(directory: &Path, args: &[String]) -> anyhow::Result<Config> {
    let below = |name: &str| directory.join(name).display().to_string();
    let defaults = [
        ("--node-name", "node-1".to_owned()),
        ("--node-ip", "127.0.0.1".to_owned()),
        ("--admin-listen", "127.0.0.1:0".to_owned()),
        ("--base-role-arn", BASE_ARN.to_owned()),
        ("--pods", format!("file:{}", below("pods"))),
        ("--runtime-dir", below("run")),
        ("--cgroup-root", below("cgroup")),
    ];
    let given = |flag: &str| args.iter().any(|arg| arg.starts_with(flag));
    let defaults = defaults.iter().filter(|(flag, _)| !given(flag));
    let mut line = vec!["bpf2iam".to_owned(), "run".to_owned()];
    line.extend(defaults.map(|(flag, value)| format!("{flag}={value}")));
    line.extend_from_slice(args);
    let Command::Run(run) = Args::try_parse_from(line)?.command else {
        anyhow::bail!("not run");
    };
    let machine = Machine {
        node_name: None,
        host_ip: None,
        host_name: Ok("host".to_owned()),
        sources: Vec::new(),
        log_format: Format::Json,
    };
    Ok(Config::new(*run, machine)?)
}

impl World {
    /// From now on pods are served.
    pub(crate) fn serve(&mut self) {
        let agent = self.agent.as_mut().expect("it was not stopped");
        agent.serve(ByAddress);
        agent.ready(Attachment::default());
    }

    /// Waits until so many pods are known, and nothing is being fetched for them.
    async fn settles(&self, number: usize) {
        let fetching = |pod: &status::Pod| match &pod.role {
            Role::Bound { keys, .. } => *keys == Keys::Fetching,
            Role::None { .. } => false,
        };
        let settled =
            |status: &Status| status.pods.len() == number && !status.pods.iter().any(fetching);
        until(async || self.status().await, settled).await;
    }

    /// A client in `pod`.
    pub(crate) const fn client(&self, pod: Pod) -> Client {
        Client::of_pod(pod, self.listener)
    }

    /// A client that is in no pod.
    pub(crate) const fn stranger(&self) -> Client {
        Client::new(Ipv4Addr::LOCALHOST, self.listener)
    }

    /// Ends the agent as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        self.take_agent().stop().await;
    }

    /// The agent, to be stopped while something else happens.
    pub(crate) fn take_agent(&mut self) -> Agent {
        self.agent.take().expect("it was not stopped")
    }

    /// STS, while it is up.
    pub(crate) fn sts(&self) -> &bpf2iam_standins::sts::Sts {
        self.sts.running()
    }

    /// STS, to let it come and go.
    pub(crate) const fn sts_host(&mut self) -> &mut StsHost {
        &mut self.sts
    }

    /// Puts a pod into the directory, or changes it.
    pub(crate) fn write_pod(&self, pod: Pod, role: Option<&str>) {
        write_pod(self.directory.path(), pod, role).unwrap();
    }

    pub(crate) fn remove_pod(&self, pod: Pod) {
        let file = format!("pods/{}.yaml", pod.name());
        fs::remove_file(self.directory.path().join(file)).unwrap();
    }

    /// Puts any file among the manifests.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(self.directory.path(), name, text).unwrap();
    }

    /// Where the manifests are.
    pub(crate) fn pods(&self) -> PathBuf {
        self.directory.path().join("pods")
    }

    /// Where the control socket is.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// A page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let client = Client::new(Ipv4Addr::LOCALHOST, self.admin.unwrap());
        let answer = client.get(path).await;
        self.said.borrow_mut().push(answer.body.clone());
        answer
    }

    /// Whether there is no admin port, or nobody listens there.
    pub(crate) async fn admin_is_closed(&self) -> bool {
        match self.admin {
            Some(admin) => Client::new(Ipv4Addr::LOCALHOST, admin)
                .connect()
                .await
                .is_err(),
            None => true,
        }
    }

    /// All numbers.
    pub(crate) async fn metrics(&self) -> Page {
        let page = self.admin("/metrics").await.body;
        Page::parse(&page).unwrap_or_else(|wrong| panic!("{wrong}\n{page}"))
    }

    /// The sum of the metrics with these labels, without `bpf2iam_`.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics().await.sum(&format!("bpf2iam_{name}"), labels)
    }

    /// How many requests were refused for `reason`.
    pub(crate) async fn refusals(&self, reason: &str) -> u64 {
        let labels = [("reason", reason)];
        self.metric("imds_refusals_total", &labels).await
    }

    /// How many attempts at STS ended so.
    pub(crate) async fn fetches(&self, outcome: &str) -> u64 {
        let labels = [("outcome", outcome)];
        self.metric("credentials_fetches_total", &labels).await
    }

    /// What `bpf2iam status` asks for.
    pub(crate) async fn status(&self) -> Status {
        let status = control::Client::new(&self.runtime_dir()).status().await;
        let status = status.unwrap();
        self.said.borrow_mut().push(status.to_json().unwrap());
        status
    }

    /// All that the agent said: its log, and the pages that were asked for.
    pub(crate) fn said(&self) -> Vec<String> {
        let mut said = self.log.lines();
        said.extend_from_slice(&self.said.borrow());
        said
    }

    /// Those of `texts` that have a secret in them, of a role's session or of the node.
    pub(crate) fn leaks(&self, mut texts: Vec<String>) -> Vec<String> {
        let mut secrets = self.sts.secrets();
        secrets.extend([NODE_SECRET.to_owned(), NODE_TOKEN.to_owned()]);
        let marks: Vec<_> = secrets.iter().map(|secret| mark(secret)).collect();
        texts.retain(|text| marks.iter().any(|mark| text.contains(mark)));
        texts
    }
}

/// So much of a secret as nobody else has by accident. Who prints half of one has printed one.
fn mark(secret: &str) -> &str {
    let start = secret.len().saturating_sub(20);
    secret.get(start..).unwrap().trim_end_matches('=')
}

impl Drop for World {
    fn drop(&mut self) {
        if !thread::panicking() {
            let leaks = self.leaks(self.said());
            assert!(leaks.is_empty(), "secrets in {leaks:#?}");
        }
    }
}

fn write_pod(directory: &Path, pod: Pod, role: Option<&str>) -> io::Result<()> {
    let manifest: Value = pod.manifest(role);
    write(
        directory,
        &format!("{}.yaml", pod.name()),
        &manifest.to_string(),
    )
}

/// All of it at once.
fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let pods = directory.join("pods");
    let partial = pods.join(format!(".{name}"));
    fs::write(&partial, text)?;
    fs::rename(partial, pods.join(name))
}
