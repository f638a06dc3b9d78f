//! What the agent finds when it starts, and how it is told.

use std::{cell::RefCell, fs, io, path::Path};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use bpf2iam::{
    app::{Agent, Cluster, Doors},
    args::{Args, Command},
    clock::Clock,
    config::{Config, Machine},
    control::Standing,
    creds::sts::Sts,
    imds::token::Key,
    telemetry::Format,
};
use bpf2iam_standins::{
    apiserver::{self, ApiServer, Kind},
    imds,
    sts::{KeySource, Rule, Trust},
};
use clap::Parser as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{imds_host::ImdsHost, log::Log, node_keys::NodeKeys, pod::Pod, sts_host::StsHost};

use super::{BASE_ARN, REGION, World};

/// The agent's node, unless it is told another one.
pub(crate) const NODE: &str = "node-1";

/// What shall be there when the agent starts.
#[derive(Default)]
pub(crate) struct Setup {
    pods: Vec<(Pod, Option<&'static str>)>,
    files: Vec<(&'static str, &'static str)>,
    objects: Option<Vec<Value>>,
    args: Vec<String>,
    rules: Vec<Rule>,
    trust: Vec<Trust>,
    node_keys: NodeKeys,
    sts_is_down: bool,
    metadata: Option<imds::Config>,
    unregistered: bool,
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

    /// Pods come from an API server, which has these objects. Of manifests there are none then.
    pub(crate) fn cluster(mut self, objects: impl IntoIterator<Item = Value>) -> Self {
        self.objects.get_or_insert_default().extend(objects);
        self
    }

    /// The API server knows nothing of the agent's node.
    pub(crate) const fn unregistered(mut self) -> Self {
        self.unregistered = true;
        self
    }

    /// One more argument of `bpf2iam run`.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments of `bpf2iam run`.
    pub(crate) fn args<const N: usize>(self, args: [&str; N]) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Pods of this ServiceAccount of the cluster may assume `role`, and no others may. What is named nowhere is for all.
    pub(crate) fn trust(mut self, role: &str, subject: &str) -> Self {
        self.trust
            .push(Trust::new(format!("{BASE_ARN}{role}"), subject));
        self
    }

    /// How STS misbehaves from the start.
    pub(crate) fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The keys of the node are found here.
    pub(crate) fn node_keys(mut self, keys: &NodeKeys) -> Self {
        self.node_keys = keys.clone();
        self
    }

    /// Nobody listens where STS should be.
    pub(crate) const fn sts_is_down(mut self) -> Self {
        self.sts_is_down = true;
        self
    }

    /// The node has a metadata service, as `config` says but for its address.
    pub(crate) fn metadata(mut self, config: imds::Config) -> Self {
        self.metadata = Some(config);
        self
    }

    /// The agent, serving and ready. If STS behaves, its first answers are there.
    pub(crate) async fn start(self) -> World {
        let behaves = self.rules.is_empty() && !self.sts_is_down;
        // An API server's pods may be any node's.
        let pods = self.objects.is_none().then_some(self.pods.len());
        let mut world = self.open().await.unwrap();
        world.serve();
        if behaves {
            world.settles(pods).await;
        }
        world
    }

    /// What the arguments mean. Nothing is started.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        config(directory()?.path(), &self.args)
    }

    /// The agent with its doors open, not yet serving.
    pub(crate) async fn open(mut self) -> anyhow::Result<World> {
        let (log, logging) = Log::capture();
        let directory = directory()?;
        for (pod, role) in &self.pods {
            write_pod(directory.path(), *pod, *role)?;
        }
        for (name, text) in &self.files {
            write(directory.path(), name, text)?;
        }
        let api = self.objects.take().map(cluster).transpose()?;
        if let (Some(api), false) = (&api, self.unregistered) {
            register(api, &self.args)?;
        }
        if let Some(api) = &api {
            self.args.push("--pods=kube".to_owned());
            self.args.push(format!("--api-server={}", api.url()));
        }
        let sts = StsHost::new(self.rules);
        let mut sts = match &api {
            Some(api) => sts.with_provider(keys(api)?, self.trust),
            None => sts,
        };
        if !self.sts_is_down {
            sts.start().await;
        }
        let mut imds = self.metadata.take().map(ImdsHost::new);
        if let Some(imds) = &mut imds {
            imds.start().await;
            self.args
                .push(format!("--metadata-addr=http://{}", imds.address()));
        }
        // No packet for the machine's own service, whatever network the tests are in.
        if !self
            .args
            .iter()
            .any(|arg| arg.starts_with("--metadata-addr"))
        {
            self.args.push("--metadata-addr=off".to_owned());
        }
        let source = Sts::new(&sdk(&sts.url(), self.node_keys), Clock::system())?;
        let config = config(directory.path(), &self.args)?;
        let doors = Doors::open(&config, Standing::Alone).await?;
        let cluster = Cluster::connect(&config).await?;
        let agent = Agent::open(&config, &cluster, doors, source, &Key::generate()?, None)?;
        Ok(World {
            listener: agent.bound().listeners[0],
            admin: agent.bound().admin,
            agent: Some(agent),
            sts,
            imds,
            api,
            directory,
            log,
            said: RefCell::default(),
            _logging: logging,
        })
    }
}

/// Where an agent has its files.
fn directory() -> io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for part in ["pods", "run", "cgroup"] {
        fs::create_dir(directory.path().join(part))?;
    }
    Ok(directory)
}

/// An API server with these objects.
fn cluster(objects: Vec<Value>) -> anyhow::Result<ApiServer> {
    let server = ApiServer::start(apiserver::Config::default())?;
    for object in objects {
        server.put(object)?;
    }
    Ok(server)
}

/// Has the node there that the agent is told to be on.
fn register(api: &ApiServer, args: &[String]) -> anyhow::Result<()> {
    let mut names = args
        .iter()
        .filter_map(|arg| arg.strip_prefix("--node-name="));
    let name = names.next_back().unwrap_or(NODE);
    if api.get(Kind::Node, "", name).is_none() {
        api.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))?;
    }
    Ok(())
}

/// Where the keys are that its tokens are signed with.
fn keys(api: &ApiServer) -> anyhow::Result<KeySource> {
    Ok(format!("{}/openid/v1/jwks", api.url()).parse()?)
}

/// All of it given: region and keys are looked for nowhere else.
fn sdk(endpoint: &str, keys: NodeKeys) -> SdkConfig {
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
        ("--node-name", NODE.to_owned()),
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
        metadata_endpoint: None,
        metadata_disabled: None,
        region: Some(REGION.to_owned()),
        default_region: None,
        variables: Vec::new(),
        host_name: Ok("host".to_owned()),
        sources: Vec::new(),
        log_format: Format::Json,
    };
    Ok(Config::new(*run, machine)?)
}

/// A pod's manifest, in a file that is named after it.
pub(super) fn write_pod(directory: &Path, pod: Pod, role: Option<&str>) -> io::Result<()> {
    let manifest = pod.manifest(role);
    write(
        directory,
        &format!("{}.yaml", pod.name()),
        &manifest.to_string(),
    )
}

/// All of it at once.
pub(super) fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let pods = directory.join("pods");
    let partial = pods.join(format!(".{name}"));
    fs::write(&partial, text)?;
    fs::rename(partial, pods.join(name))
}
