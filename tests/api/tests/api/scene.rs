//! What the tests have in common: a node of the cluster that is a stage too, and the agent on it.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bpf2iam_api::{Cluster, account::Account, line::Line, object};
use bpf2iam_support::{
    Options, Place, Pod,
    client::Report,
    manifest,
    pod::Spec,
    process::Process,
    stage::{Agent, BASE_ARN, Programs, Stage},
};
use serde_json::Value;

/// Longer than any single thing takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Where the API server is at the near end of a line.
pub(crate) const NEAR: &str = "https://127.0.0.1:6443";
/// The issuer of the cluster's tokens.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The annotation that names a pod's role.
pub(crate) const ROLE: &str = "iam.amazonaws.com/role";
/// The annotation that names a ServiceAccount's.
pub(crate) const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
/// What a pod is asked for, if nothing else.
pub(crate) const LIST: &str = "/latest/meta-data/iam/security-credentials/";

/// A node of the cluster, and a namespace for its pods.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    pub(crate) stage: Stage,
    /// The agent's account there.
    pub(crate) account: Account,
    /// The name of the agent's own pod.
    pub(crate) agent_pod: String,
    /// The only way to the API server.
    pub(crate) line: Option<Line>,
}

impl Scene {
    /// A node with all that an operator has applied. None where there is no cluster.
    pub(crate) fn set(stem: &str) -> Option<Self> {
        let cluster = Cluster::find_or_skip()?;
        Some(Self::on(cluster, stem).unwrap())
    }

    fn on(cluster: Cluster, stem: &str) -> Result<Self> {
        cluster.deploy()?;
        let namespace = cluster.add_namespace(stem)?;
        let keys = cluster.get_raw("/openid/v1/jwks")?;
        let sts = ["--jwks", keys.trim(), "--issuer", ISSUER];
        let stage = Stage::set(Programs::find()?, Options::default(), &sts)?;
        let node = stage.node().name();
        cluster.apply(&object::node(&node))?;
        let files = stage.scratch().join("account");
        let (account, agent_pod) = cluster.agent_account(&node, &files, NEAR)?;
        Ok(Self {
            line: Some(cluster.line_from(stage.node().netns())?),
            cluster,
            namespace,
            stage,
            account,
            agent_pod,
        })
    }

    pub(crate) fn line(&self) -> &Line {
        self.line.as_ref().expect("the line is laid")
    }

    /// Starts the agent as a pod of the cluster is started, and waits until it knows all pods.
    pub(crate) fn start(&self, args: &[&str]) -> Agent {
        self.ready(self.spawn(args))
    }

    /// Starts it.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        let address: SocketAddr = NEAR.trim_start_matches("https://").parse().unwrap();
        let launcher = self.account.launcher();
        let launcher: Vec<_> = launcher.iter().map(String::as_str).collect();
        let args = [&["--pods", "kube"], args].concat();
        let host = self.stage.node().host();
        let mut command = self.stage.agent_in(&host, &launcher, &args).unwrap();
        command.envs(Account::environment(address));
        // What is found by its name has to be.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Process::spawn("bpf2iam", command).unwrap()
    }

    /// The agent in `process`, when it is ready and says so everywhere.
    pub(crate) fn ready(&self, process: Process) -> Agent {
        let agent = Agent::ready(process, &self.stage).unwrap();
        self.wait_until_ready();
        agent
    }

    fn wait_until_ready(&self) {
        wait("the agent to be ready", || {
            (self.stage.admin("/readyz").unwrap().trim() == "ready").then_some(())
        });
    }

    /// A pod of the namespace.
    pub(crate) fn spec(&self, name: &str) -> Spec {
        Spec::new(&self.namespace, name)
    }

    /// A pod that runs, known to everybody.
    pub(crate) fn add(&self, spec: Spec) -> Pod {
        let pod = self.run(spec);
        self.report(&pod);
        pod
    }

    /// A pod that runs, and of which its kubelet has said nothing yet.
    pub(crate) fn run(&self, spec: Spec) -> Pod {
        let uid = self.bind(&spec, &self.stage.node().name());
        let hash = spec.uid.clone();
        let spec = spec.uid(hash.unwrap_or(uid));
        self.stage.node().add_pod(spec).unwrap()
    }

    /// A pod that is bound to `node`, where nothing runs of it. Gives its UID.
    pub(crate) fn bind(&self, spec: &Spec, node: &str) -> String {
        let pod = object::pod_of(spec, node);
        self.cluster.create(&pod).unwrap()
    }

    /// Says of a pod what its kubelet would.
    pub(crate) fn report(&self, pod: &Pod) {
        let mut status = manifest::of(pod)["status"].take();
        // It is what the API server has made of the pod's requests, and stays.
        status
            .as_object_mut()
            .map(|status| status.remove("qosClass"));
        self.set_status(pod, &status);
    }

    pub(crate) fn set_status(&self, pod: &Pod, status: &Value) {
        let (namespace, object) = (&pod.spec().namespace, object_of(pod));
        self.cluster.set_status(namespace, &object, status).unwrap();
    }

    pub(crate) fn annotate(&self, pod: &Pod, annotation: &str) {
        let (namespace, object) = (&pod.spec().namespace, object_of(pod));
        self.cluster
            .annotate(namespace, &object, &[annotation])
            .unwrap();
    }

    /// Deletes a pod as the API server does when its kubelet says that nothing is left.
    pub(crate) fn delete(&self, namespace: &str, name: &str) {
        let how = ["--force", "--grace-period=0", "--namespace", namespace];
        let what = ["delete", "pod", name];
        self.cluster.kubectl(&[&what[..], &how].concat()).unwrap();
    }

    /// A ServiceAccount of the namespace, with annotations.
    pub(crate) fn add_account(&self, name: &str, annotations: &[(&str, &str)]) {
        let mut account = object::service_account(&self.namespace, name);
        for (key, value) in annotations {
            account["metadata"]["annotations"][key] = (*value).into();
        }
        self.cluster.apply(&account).unwrap();
    }

    /// What a process there gets, asked once.
    pub(crate) fn ask(&self, place: &Place) -> Report {
        self.stage.client().attempt(place, &["connect"]).unwrap()
    }

    /// What a pod gets once the agent knows: on a busy machine keys take longer than a client waits.
    pub(crate) fn settled(&self, place: &Place) -> Report {
        wait("an answer", || {
            let report = self.ask(place);
            (report.status != Some(503)).then_some(report)
        })
    }

    /// Waits until a process there gets what is `wanted`, and meanwhile nothing but what it got `before`.
    #[track_caller]
    pub(crate) fn changes(&self, place: &Place, before: Answer<'_>, wanted: Answer<'_>) {
        wait("the change", || {
            let report = self.ask(place);
            let got = answer(&report);
            let known = [before, wanted, (Some(503), None)];
            let known = known
                .iter()
                .any(|known| known.0 == got.0 && (known.1 == got.1 || got.0 != Some(200)));
            assert!(known, "neither {before:?} nor {wanted:?}: {report:?}");
            (got.0 == wanted.0 && (got.0 != Some(200) || got.1 == wanted.1)).then_some(())
        });
    }
}

/// A status, and what was said.
pub(crate) type Answer<'a> = (Option<u16>, Option<&'a str>);

/// No role.
pub(crate) const NOTHING: Answer<'_> = (Some(404), None);

/// The one role.
pub(crate) const fn role(name: &str) -> Answer<'_> {
    (Some(200), Some(name))
}

pub(crate) fn answer(report: &Report) -> Answer<'_> {
    (report.status, report.body.as_deref())
}

#[track_caller]
pub(crate) fn assert_role(report: &Report, name: &str) {
    assert_eq!(answer(report), role(name), "{report:?}");
}

#[track_caller]
pub(crate) fn assert_status(report: &Report, status: u16) {
    assert_eq!(report.status, Some(status), "{report:?}");
}

/// The ARN of a role.
pub(crate) fn arn(name: &str) -> String {
    format!("{BASE_ARN}{name}")
}

fn object_of(pod: &Pod) -> String {
    format!("pod/{}", pod.spec().name)
}

/// Waits until `look` sees something.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(PAUSE);
    }
}

/// Waits until the agent has written a record that is `wanted`, and gives the first.
#[track_caller]
pub(crate) fn wait_for_record(agent: &Process, wanted: impl Fn(&Value) -> bool) -> Value {
    let is_wanted = |line: &str| serde_json::from_str(line).is_ok_and(|record| wanted(&record));
    let line = agent.wait_for_line(is_wanted, PATIENCE).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Waits for the record of a request of a pod that ended like this.
#[track_caller]
pub(crate) fn wait_for_outcome(agent: &Agent, pod: &Pod, outcome: &str) {
    wait_for_record(agent.process(), |record| {
        record["uid"] == pod.uid() && record["outcome"] == outcome
    });
}

/// Fails if a record of the agent is an error.
pub(crate) fn no_errors(agent: &Agent) -> Result<()> {
    let lines = agent.process().lines();
    let errors: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("\"level\":\"ERROR\""))
        .collect();
    ensure!(errors.is_empty(), "{errors:#?}");
    Ok(())
}
