//! The agent with all that it needs, in this process: manifests, STS, an admin port, a control socket.

mod setup;

use std::{
    cell::RefCell,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    thread,
};

use bpf2iam::{
    app::{Agent, Attachment},
    control,
    metadata::LASTING,
    status::{self, Keys, Role, Status},
};
use bpf2iam_standins::{
    LEAK_MARK,
    apiserver::ApiServer,
    imds::{Imds, Seen},
};
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use crate::{
    client::{Answer, Client, ROLES},
    imds_host::ImdsHost,
    log::Log,
    openmetrics::Page,
    pod::{ByAddress, Pod},
    sts_host::StsHost,
    wait::{soon, until},
};

pub(crate) use setup::{NODE, Setup};

/// What is put before the names of roles.
pub(crate) const BASE_ARN: &str = "arn:aws:iam::123456789012:role/";
pub(crate) const REGION: &str = "eu-west-1";

/// The node's own keys. Whoever sees them outside of STS sees a leak.
pub(crate) const NODE_KEY: &str = "AKIDNODE000000000001";
pub(crate) const NODE_SECRET: &str = "node-secret-wJalrXUtnFEMIK7MDENG";
pub(crate) const NODE_TOKEN: &str = "node-token-IQoJb3JpZ2luX2VjEXAMPLE";

/// The pod of [`World::probe`].
const PROBE: Pod = Pod::new(99);

/// The agent and what is around it. At its end no secret may be in anything that the agent said.
pub(crate) struct World {
    agent: Option<Agent>,
    listener: SocketAddr,
    admin: Option<SocketAddr>,
    sts: StsHost,
    imds: Option<ImdsHost>,
    api: Option<ApiServer>,
    directory: TempDir,
    pub(crate) log: Log,
    /// Pages of the admin port and of the control socket.
    said: RefCell<Vec<String>>,
    _logging: DefaultGuard,
}

impl World {
    /// From now on pods are served.
    pub(crate) fn serve(&mut self) {
        let agent = self.agent.as_mut().expect("it was not stopped");
        agent.serve(ByAddress);
        agent.ready(Attachment::default());
    }

    /// Waits until all pods are known, so many where that is said, and nothing is being fetched for them.
    pub(crate) async fn settles(&self, number: impl Into<Option<usize>>) {
        let number = number.into();
        let fetching = |pod: &status::Pod| match &pod.role {
            Role::Bound { keys, .. } => matches!(keys, Keys::Fetching { .. }),
            Role::Other { .. } | Role::None { .. } => false,
        };
        let settled = |status: &Status| {
            status.pending.is_empty()
                && number.is_none_or(|number| status.pods.len() == number)
                && !status.pods.iter().any(fetching)
        };
        until(async || self.status().await, settled).await;
        if self.api.is_some() {
            self.knows_what_is_around().await;
        }
    }

    /// Waits until pods, namespaces and ServiceAccounts were listed.
    async fn knows_what_is_around(&self) {
        let listed = async || self.metric("watch_synced", &[]).await;
        until(listed, |kinds| *kinds == 3).await;
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

    /// The API server, if pods come from one.
    pub(crate) const fn api(&self) -> &ApiServer {
        self.api.as_ref().expect("pods come from there")
    }

    /// The node's metadata service, while there is one and it is up.
    pub(crate) const fn imds(&self) -> &Imds {
        let host = self.imds.as_ref().expect("there is one");
        host.running()
    }

    /// Waits until the agent has read what it reads of it by itself.
    pub(crate) async fn knows_the_instance(&self) {
        let has_read = |seen: &[Seen], path: &str| {
            let read = |seen: &Seen| seen.path.ends_with(path) && seen.status == Some(200);
            seen.iter().any(read)
        };
        let all = |seen: &[Seen]| LASTING.iter().all(|path| has_read(seen, path));
        soon(self.imds().requests().wait_for(all)).await;
    }

    /// The node's metadata service, to let it come and go.
    pub(crate) const fn imds_host(&mut self) -> &mut ImdsHost {
        self.imds.as_mut().expect("there is one")
    }

    /// STS, while it is up.
    pub(crate) fn sts(&self) -> &bpf2iam_standins::sts::Sts {
        self.sts.running()
    }

    /// How often STS was asked for `role`.
    pub(crate) fn calls(&self, role: &str) -> usize {
        let arn = format!("{BASE_ARN}{role}");
        let calls = self.sts().calls().entries();
        calls
            .iter()
            .filter(|call| call.role.as_ref() == Some(&arn))
            .count()
    }

    /// Lets one more pod come and have its keys fetched: what was to be asked of STS before, was asked then.
    pub(crate) async fn probe(&self) {
        self.write_pod(PROBE, Some("probe"));
        let list = async || self.client(PROBE).get(ROLES).await.status;
        until(list, |status| *status == 200).await;
    }

    /// STS, to let it come and go.
    pub(crate) const fn sts_host(&mut self) -> &mut StsHost {
        &mut self.sts
    }

    /// Puts a pod into the directory, or changes it.
    pub(crate) fn write_pod(&self, pod: Pod, role: Option<&str>) {
        setup::write_pod(self.directory.path(), pod, role).unwrap();
    }

    pub(crate) fn remove_pod(&self, pod: Pod) {
        let file = format!("pods/{}.yaml", pod.name());
        fs::remove_file(self.directory.path().join(file)).unwrap();
    }

    /// Puts any file among the manifests.
    pub(crate) fn write(&self, name: &str, text: &str) {
        setup::write(self.directory.path(), name, text).unwrap();
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
        texts.retain(|text| {
            // All that the node's metadata service has for nobody else.
            let is_the_nodes =
                self.imds.is_some() && text.replace(NODE_KEY, "").contains(LEAK_MARK);
            is_the_nodes || marks.iter().any(|mark| text.contains(mark))
        });
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
