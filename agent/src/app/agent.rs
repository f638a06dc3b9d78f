//! The half of the agent that any process could run: doors, pods, keys, answers.
//!
//! It does not ask where callers come from: that is [`Attest`]'s business. So the tests run it whole, without privileges.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    admin::{self, Pages},
    attest::Attest,
    clock::Clock,
    config::Config,
    control,
    creds::{self, Cache, sts::Sts},
    drain, exempt,
    id::PodUid,
    imds::{
        self, Server, Service,
        token::{Authority, BootId, Key},
    },
    metrics, notices,
    pods::{Source as _, binding::Policy, index, resolve::Resolver, tally},
    readiness::{Guard, Readiness},
    redirect,
    trial::Trial,
    warm,
};

use super::{
    api::Api,
    cluster::Cluster,
    doors::{Bound, Doors},
    instance,
    own::Own,
    parts::Parts,
    pods,
    policy::policy,
    report::{Attachment, KernelSide, Report},
    succession,
};

/// How long the end waits for requests that are under way; each has [`crate::imds::service::PATIENCE`] for its answer.
const DRAIN: Duration = Duration::from_secs(5);

/// The agent, from when its doors are open.
#[derive(Debug)]
pub struct Agent {
    bound: Bound,
    parts: Parts,
    signal: drain::Signal,
    drain: drain::Watch,
    report: Report,
    /// What is needed to serve, until it is used.
    service: Option<(Vec<TcpListener>, Service<Cache>)>,
    pending: Option<Guard>,
    /// Ends the trial, when it has begun.
    trial: Option<drain::Signal>,
}

impl Agent {
    /// Starts everything but the service. Session tokens are made with `key`; `kernel` is what can be told of the programs,
    /// if there are any.
    pub fn open(
        config: &Config,
        cluster: &Cluster,
        doors: Doors,
        sts: Sts,
        key: &Key,
        kernel: Option<redirect::View>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let mut registry = metrics::registry(clock.now());
        let readiness = Readiness::new();
        let pending = readiness.guard("the programs to be attached");
        let bound = doors.bound().context("cannot tell where we listen")?;
        let client = cluster.client.clone();
        let (pods, lookup) = pods::open(config, client.as_ref(), clock, &readiness, &mut registry)?;
        let node = config.node_name.as_str();
        let (instance, learner) = instance::open(config, client.as_ref(), clock, &mut registry);
        let own = client
            .as_ref()
            .map(|client| Own::open(config, client, &readiness, &mut registry));
        let api = client.map(|client| Api::new(client, node, clock, &mut registry));
        let (writer, store) = index::new();
        let policy = Arc::new(policy(config));
        let resolver = Resolver::new(store.clone(), Arc::clone(&policy), lookup);
        let sts = match &api {
            Some(api) => api.make_tokens_for(sts),
            None => sts,
        };
        let cache = open_cache(sts, clock, &mut registry);
        tally::register(store.clone(), Arc::clone(&policy), &mut registry);
        let service = Service {
            pods: resolver.clone(),
            credentials: cache.clone(),
            tokens: Authority::new(key, BootId::current()?),
            instance,
            clock,
            metrics: imds_metrics(&mut registry),
        };
        let kernel = KernelSide::register(kernel, &config.lifetime, &mut registry);
        let registry = Arc::new(registry);
        let report = Report {
            node: config.node_name.to_string(),
            since: clock.now(),
            listeners: bound.listeners.clone(),
            readiness: readiness.clone(),
            attachment: watch::Sender::new(None),
            pods: store.clone(),
            resolver,
            cache: cache.clone(),
            kernel,
            registry: Arc::clone(&registry),
        };
        let (signal, drain) = drain::channel();
        let mut agent = Self {
            bound,
            parts: Parts::default(),
            signal,
            drain,
            report,
            service: Some((doors.listeners, service)),
            pending: Some(pending),
            trial: None,
        };
        let pages = Pages {
            metrics: registry,
            readiness,
        };
        agent.start_doors(doors.admin, doors.control, pages);
        let learn = learner.run(agent.drain());
        agent.spawn("what learns about the instance", done(learn));
        agent.start_watch_of_home(cluster);
        agent.start_own(own);
        agent.start_notices(&store, &policy, &cache, api);
        agent.start_pods(pods, writer, warm::run(store, policy, cache, agent.drain()));
        Ok(agent)
    }

    fn start_doors(
        &mut self,
        admin: Option<admin::Server>,
        control: control::Server,
        pages: Pages,
    ) {
        if let Some(admin) = admin {
            let serve = admin.run(pages, self.drain());
            self.spawn("the admin port", done(serve));
        }
        let report = self.report.clone();
        let serve = control.run(report, self.drain());
        self.spawn("the control socket", done(serve));
    }

    fn start_watch_of_home(&mut self, cluster: &Cluster) {
        if let Some(watch) = cluster.watch(self.drain()) {
            self.spawn("the watch of our own DaemonSet", done(watch));
        }
    }

    fn start_own(&mut self, own: Option<Own>) {
        let Some(own) = own else { return };
        let Own {
            known,
            taint,
            narrowed,
        } = own;
        let look = known.run(self.drain());
        self.spawn("what looks for our own node", done(look));
        if let Some(taint) = taint {
            let remove = taint.run(self.readiness(), self.drain());
            self.spawn("what takes the startup taint away", done(remove));
        }
        if let Some(narrowed) = narrowed {
            let ask = narrowed.run(self.readiness(), self.drain());
            self.spawn("what asks whether tokens are narrowed", done(ask));
        }
    }

    fn start_notices(
        &mut self,
        store: &index::Store,
        policy: &Arc<Policy>,
        cache: &Cache,
        api: Option<Api>,
    ) {
        let mut crier = None;
        if let Some((events, writer)) = api.map(Api::into_crier) {
            let write = writer.run(self.drain());
            self.spawn("what writes Events", done(write));
            crier = Some(events);
        }
        let (store, policy, cache) = (store.clone(), Arc::clone(policy), cache.clone());
        let tell = notices::run(store, policy, cache, crier, self.drain());
        self.spawn("what tells of refusals", done(tell));
    }

    fn start_pods(
        &mut self,
        pods: pods::Pods,
        index: index::Writer,
        warm: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut drain = self.drain();
        self.spawn("the source of pods", async move {
            tokio::select! {
                error = pods.run(index) => Err(error),
                () = drain.signaled() => Ok(()),
            }
        });
        self.spawn("what fetches credentials early", done(warm));
    }

    /// Where the agent can be reached.
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Hears when the agent ends.
    pub fn drain(&self) -> drain::Watch {
        self.drain.clone()
    }

    /// Starts a part. If it ends before the drain, so does the agent.
    pub fn spawn(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.parts.spawn(name, work);
    }

    /// Answers whom `attest` knows. Once.
    pub fn serve(&mut self, attest: impl Attest) {
        if let Some((listeners, service)) = self.service.take() {
            let serve = Server::new(attest, service).run(listeners, self.drain());
            self.spawn("the metadata service", done(serve));
        }
    }

    /// Waits until we can do what an agent that serves does.
    pub(super) fn prepared(&self) -> impl Future<Output = ()> + use<> {
        let report = self.report.clone();
        async move { succession::prepared(&report).await }
    }

    /// Says whether the agent is ready, and keeps it from being so.
    pub(super) fn readiness(&self) -> Readiness {
        self.report.readiness.clone()
    }

    /// Keeps in `list` the pods below `kubepods` that keep the node's own identity; not `own`, where the agent runs.
    pub fn keep_exempt(&mut self, list: redirect::Exempt, kubepods: PathBuf, own: Option<PodUid>) {
        let (pods, policy) = (
            self.report.pods.clone(),
            self.report.resolver.shared_policy(),
        );
        let keeper = exempt::Keeper::new(pods, policy, kubepods, own, list);
        let keep = keeper.run(self.drain());
        self.spawn("what keeps pods exempt", done(keep));
    }

    /// Is not ready before `trial` has gone well.
    pub fn try_out(&mut self, mut trial: Trial) {
        self.trial = Some(trial.ender());
        let pending = self
            .report
            .readiness
            .guard("a connection of its own to come back");
        let trial = trial.run(pending, self.drain());
        self.spawn("the trial", done(trial));
    }

    /// No connection is tried out any more: without the programs it would reach the real service.
    pub(super) async fn end_trial(&mut self) {
        if let Some(trial) = self.trial.take()
            && !trial.drain(DRAIN).await
        {
            tracing::warn!("the agent's own connection takes longer than {DRAIN:?} to end");
        }
    }

    /// The programs are in place: `attachment` is. Says that the agent is ready when nothing else is waited for. What it
    /// gives is told when that changes.
    pub fn ready(&mut self, attachment: Attachment) -> watch::Sender<Option<Attachment>> {
        let listeners: Vec<_> = self
            .bound
            .listeners
            .iter()
            .map(ToString::to_string)
            .collect();
        let listeners = listeners.join(",");
        let cgroup = attachment.kubepods.display().to_string();
        let attached = self.report.attachment.clone();
        attached.send_replace(Some(attachment));
        self.pending = None;
        tracing::info!(cgroup, "attached");
        let (readiness, mut drain) = (self.report.readiness.clone(), self.drain());
        self.spawn("what says that all is well", async move {
            tokio::select! {
                () = readiness.ready() => tracing::info!(listeners, cgroup, "ready"),
                () = drain.signaled() => return Ok(()),
            }
            drain.signaled().await;
            Ok(())
        });
        attached
    }

    /// Waits for a part to die, and says of what.
    pub async fn died(&mut self) -> anyhow::Error {
        self.parts.died().await
    }

    /// Tells everybody, and waits until all is done, for a bounded time.
    pub async fn stop(self) {
        let Self {
            signal,
            drain,
            service,
            parts,
            ..
        } = self;
        drop((drain, service));
        if !signal.drain(DRAIN).await {
            tracing::warn!("some requests were cut off: they took longer than {DRAIN:?}");
        }
        drop(parts);
    }
}

/// A part that cannot fail.
async fn done(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}

fn imds_metrics(registry: &mut Registry) -> imds::Metrics {
    let metrics = imds::Metrics::new();
    metrics.register(registry);
    metrics
}

fn open_cache(sts: Sts, clock: Clock, registry: &mut Registry) -> Cache {
    let metrics = creds::Metrics::new();
    metrics.register(registry);
    let cache = Cache::new(sts, clock, metrics);
    cache.register(registry);
    cache
}
