//! The node of the story and the pods on it.

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
};

use anyhow::Result;
use bpf2iam_support::{
    Options, Place, Pod,
    client::Report,
    pod::Spec,
    stage::{NODE_KEY, Programs, Stage},
};

use super::{
    ask::{self, Answer, ROLES},
    page::Page,
};
use crate::interrupt::Interrupt;

/// The annotation by which a pod names its role.
pub(super) const ROLE: &str = "iam.amazonaws.com/role";

/// A pod and what its manifest says.
pub(super) struct Actor {
    /// The pod.
    pub(super) pod: Pod,
    /// The role that it names.
    pub(super) role: Option<&'static str>,
}

impl Actor {
    /// NAMESPACE/NAME.
    pub(super) fn name(&self) -> String {
        self.pod.spec().to_string()
    }

    /// Where its commands run.
    pub(super) fn place(&self) -> Place {
        self.pod.place()
    }
}

/// A node with stand-ins, and the pods on it.
///
/// The pods come first here, so that they go before their node does.
pub(super) struct Scene<'a> {
    /// The pod that most is shown with.
    pub(super) invoices: Actor,
    /// A pod with another role.
    pub(super) dashboard: Actor,
    /// A pod that names no role.
    pub(super) website: Actor,
    /// A pod on the node's network.
    pub(super) collector: Actor,
    /// The node and what runs beside the pods.
    pub(super) stage: Stage,
    interrupt: &'a Interrupt,
    seen: Cell<usize>,
    leaks: RefCell<Vec<String>>,
}

impl<'a> Scene<'a> {
    /// Sets it.
    pub(super) fn set(programs: Programs, interrupt: &'a Interrupt) -> Result<Self> {
        let stage = Stage::set(programs, Options::default(), &[])?;
        let add = |spec: Spec, role: Option<&'static str>| -> Result<Actor> {
            interrupt.check()?;
            let spec = match role {
                Some(role) => spec.annotation(ROLE, role),
                None => spec,
            };
            let pod = stage.add_pod(spec)?;
            Ok(Actor { pod, role })
        };
        Ok(Self {
            invoices: add(Spec::new("shop", "invoices"), Some("billing"))?,
            dashboard: add(Spec::new("shop", "dashboard"), Some("reports"))?,
            website: add(Spec::new("shop", "website"), None)?,
            collector: add(
                Spec::new("shop", "collector").on_host_network(),
                Some("metrics"),
            )?,
            stage,
            interrupt,
            seen: Cell::new(0),
            leaks: RefCell::new(Vec::new()),
        })
    }

    /// All pods.
    pub(super) fn cast(&self) -> [&Actor; 4] {
        [
            &self.invoices,
            &self.dashboard,
            &self.website,
            &self.collector,
        ]
    }

    /// Says what there is.
    pub(super) fn introduce(&self, page: &Page) {
        page.title("bpf2iam gives each Kubernetes pod on AWS the credentials of its own IAM role");
        page.text(
            "This node was made for the demo: network namespaces without a way out, cgroups named as the\n\
             kubelet names them, stand-ins for the EC2 metadata service and for STS. It has four pods:",
        );
        page.space();
        let rows = self.cast().map(|actor| {
            let role = actor
                .role
                .map_or("-".to_owned(), |role| format!("{ROLE}: {role}"));
            [actor.name(), role, network(&actor.pod)]
        });
        page.table(["POD", "ANNOTATION", "NETWORK"], &rows);
    }

    /// Runs `curl ARGS` in a pod.
    pub(super) fn ask(&self, actor: &Actor, args: &[&str]) -> Result<Answer> {
        self.interrupt.check()?;
        let answer = ask::curl(&actor.place(), args)?;
        self.interrupt.check()?; // an answer that was cut off is none
        self.seen.set(self.seen.get() + 1);
        if answer.body.contains(NODE_KEY) {
            let leak = format!("in {}: curl {}", actor.name(), args.join(" "));
            self.leaks.borrow_mut().push(leak);
        }
        Ok(answer)
    }

    /// Asks in a pod which role it has, and for its keys: both answers.
    pub(super) fn ask_for_keys(&self, actor: &Actor) -> Result<[Answer; 2]> {
        let list = self.ask(actor, &[ROLES])?;
        let url = format!("{ROLES}{}", list.text().unwrap_or_default());
        let keys = self.ask(actor, &[&url])?;
        Ok([list, keys])
    }

    /// Makes an attempt of `pod-client` in a pod.
    pub(super) fn attempt(&self, actor: &Actor, attempt: &str) -> Result<Report> {
        self.interrupt.check()?;
        let report = self.stage.client().attempt(&actor.place(), &[attempt]);
        self.interrupt.check()?;
        report
    }

    /// A pod's manifest.
    pub(super) fn manifest(&self, actor: &Actor) -> PathBuf {
        let spec = actor.pod.spec();
        let name = format!("{}-{}.yaml", spec.namespace, spec.name);
        self.stage.manifests().join(name)
    }

    /// Waits for Enter or for a signal.
    pub(super) fn wait(&self) {
        self.interrupt.wait();
    }

    /// From now on nobody may see a key of the node.
    pub(super) fn forget_answers(&self) {
        self.seen.set(0);
        self.leaks.borrow_mut().clear();
    }

    /// How many answers there were, and which held a key of the node.
    pub(super) fn answers(&self) -> (usize, Vec<String>) {
        (self.seen.get(), self.leaks.borrow().clone())
    }
}

fn network(pod: &Pod) -> String {
    let ip = pod.ipv4().map(|ip| ip.to_string()).unwrap_or_default();
    if pod.spec().host_network {
        format!("{ip}, the node's own (hostNetwork)")
    } else {
        ip
    }
}
