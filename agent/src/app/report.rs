//! What the agent says of itself: gathers the parts' own words for `status` and `/metrics`.

mod kernel;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::{
    control::{Answers, NoSuchPod},
    creds::{Cache, Identity},
    explain::{Explanation, Question},
    metrics,
    pods::{
        binding::{self, Binding},
        index,
        resolve::Resolver,
    },
    readiness::Readiness,
    redirect::Attached,
    status::{self, Keys, Program, Status},
};

use kernel::COUNTERS;
pub(super) use kernel::KernelSide;

/// What is attached, and where.
#[derive(Clone, Debug, Default)]
pub struct Attachment {
    /// The pods' cgroup.
    pub kubepods: PathBuf,
    programs: Vec<Program>,
}

impl Attachment {
    /// `programs` at `kubepods`.
    pub(super) fn new(kubepods: PathBuf, programs: &[Attached]) -> Self {
        let program = |attached: &Attached| Program {
            name: attached.name.to_owned(),
            kind: attached.place.to_owned(),
            attach_point: kubepods.clone(),
            program_id: attached.program_id,
            link_id: attached.link_id,
        };
        let programs = programs.iter().map(program).collect();
        Self { kubepods, programs }
    }
}

/// Everything that a status is made of.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) node: String,
    pub(super) since: Timestamp,
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) readiness: Readiness,
    pub(super) attachment: watch::Sender<Option<Attachment>>,
    pub(super) pods: index::Store,
    pub(super) resolver: Resolver,
    pub(super) cache: Cache,
    pub(super) kernel: KernelSide,
    pub(super) registry: Arc<Registry>,
}

/// What there is for the pods that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtHand {
    /// Keys, or a refusal that lasts, for each of them; and keys for one at least, if any are wanted.
    All,
    /// Keys for some of them.
    Some,
    /// No keys, and refusals that last.
    Refusals,
    /// Nothing, although something is wanted.
    None,
}

impl Report {
    /// The agent at this moment.
    pub(super) fn status(&self) -> Status {
        let attachment = self.attachment.borrow().clone();
        let attachment = attachment.as_ref();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.node.clone(),
            pid: std::process::id(),
            since: self.since,
            pending: self
                .readiness
                .pending()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            listeners: self.listeners.clone(),
            kubepods: attachment.map(|attachment| attachment.kubepods.clone()),
            kernel: self.kernel.status(),
            programs: attachment
                .map(|attachment| attachment.programs.clone())
                .unwrap_or_default(),
            pods: self.pods(),
            counters: status::Counters {
                kernel: self.kernel.counters(),
                agent: self.counters(),
            },
        }
    }

    /// What there is for the pods that run.
    pub(super) fn keys_at_hand(&self) -> AtHand {
        let held = self.cache.snapshot().into_iter();
        let held: HashMap<_, _> = held.map(|held| (held.identity.clone(), held)).collect();
        let pods = self.pods.snapshot();
        let wanted: HashSet<_> = pods
            .pods()
            .flat_map(|subject| binding::identities(subject, self.resolver.policy()))
            .collect();
        let states = || wanted.iter().filter_map(|identity| held.get(identity));
        let ready = states().filter(|held| held.is_ready()).count();
        match (ready, states().filter(|held| held.is_settled()).count()) {
            _ if wanted.is_empty() => AtHand::All,
            (0, 0) => AtHand::None,
            (0, _) => AtHand::Refusals,
            (_, settled) if settled == wanted.len() => AtHand::All,
            _ => AtHand::Some,
        }
    }

    /// What there is for every identity, at one moment.
    fn keys(&self) -> HashMap<Identity, Keys> {
        let held = self.cache.snapshot().into_iter();
        held.map(|held| {
            let keys = Keys::from(&held);
            (held.identity, keys)
        })
        .collect()
    }

    fn pods(&self) -> Vec<status::Pod> {
        let keys = self.keys();
        let mut pods: Vec<_> = self
            .pods
            .snapshot()
            .pods()
            .map(|subject| {
                let binding = binding::decide_for(subject, None, self.resolver.policy());
                let keys = match &binding {
                    Binding::Role(identity, _) => keys.get(identity).cloned(),
                    Binding::Node(_)
                    | Binding::Nothing(_)
                    | Binding::Invalid(..)
                    | Binding::Forbidden(..)
                    | Binding::Unknown(_) => None,
                };
                status::Pod::new(&subject.pod, &binding, keys)
            })
            .collect();
        pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        pods
    }

    /// The counters of `/metrics`, each summed up over its labels.
    fn counters(&self) -> BTreeMap<String, u64> {
        let mut counters = BTreeMap::new();
        let page = metrics::encode(&self.registry).unwrap_or_default();
        for line in page.lines() {
            if let Some((name, value)) = counter(line) {
                *counters.entry(name.to_owned()).or_default() += value;
            }
        }
        counters
    }
}

impl Answers for Report {
    fn status(&self) -> Status {
        Self::status(self)
    }

    async fn explain(&self, question: Question) -> Result<Explanation, NoSuchPod> {
        let (asked, snapshot) = (question.pod(), self.pods.snapshot());
        let known = snapshot.pods().find(|subject| subject.pod.name == asked);
        let subject = known.ok_or(if snapshot.complete() {
            NoSuchPod::Unknown(asked)
        } else {
            NoSuchPod::TooEarly
        })?;
        let account = match question.service_account() {
            Some(name) => {
                self.resolver
                    .service_account(&question.namespace, name)
                    .await
            }
            None => None,
        };
        let policy = self.resolver.policy();
        let supposed = question.suppose(subject, account, &policy.keys);
        let (words, keys) = (question.in_words(), self.keys());
        let keys = |identity: &Identity| keys.get(identity).cloned();
        Ok(Explanation::new(&supposed, words, policy, keys))
    }
}

/// Name and value of a line of OpenMetrics that is a counter's; those of the programs have a place of their own.
fn counter(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.rsplit_once(' ')?;
    let name = name
        .split('{')
        .next()?
        .strip_suffix("_total")?
        .strip_prefix("bpf2iam_")?;
    (!name.starts_with(COUNTERS)).then_some((name, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_from_other_lines() {
        for (line, expected) in [
            (
                "bpf2iam_imds_requests_total{route=\"token\",status=\"200\"} 3",
                Some(("imds_requests", 3)),
            ),
            ("bpf2iam_tokens_total 7", Some(("tokens", 7))),
            ("bpf2iam_kernel_redirected_total 7", None),
            ("bpf2iam_pods 7", None),
            ("# TYPE bpf2iam_tokens counter", None),
            ("# EOF", None),
            ("", None),
        ] {
            assert_eq!(counter(line), expected, "{line}");
        }
    }
}
