//! Checks this node, from the kernel up, and says what to do.
//!
//! Each check first gathers facts, and then judges them by a pure function. Their order is that of dependency: what is
//! wrong first is to be mended first. None takes longer than [`PATIENCE`](bounded::PATIENCE), and one that breaks is told of and stops no
//! other. Nothing on the node is changed, and no key, token or signature is read.

mod agent;
mod bounded;
mod bpffs;
mod capabilities;
mod cgroup;
mod clock;
mod conflicts;
mod finding;
mod kernel;
mod lease;
mod leftovers;
mod listener;
mod metadata;
mod mounts;
mod netns;
mod programs;
mod remedy;
mod report;
mod settings;
mod sts;

use std::{net::SocketAddr, path::PathBuf};

pub use bpffs::pins_may_not_last;
pub use finding::{Check, Finding, Verdict};
pub use report::Report;
pub use settings::Settings;

use bounded::Lost;
use clock::Ahead;

/// Makes all checks.
pub async fn examine(settings: Settings) -> Report {
    let mut examination = Examination {
        settings,
        findings: Vec::new(),
    };
    examination.machine().await;
    let pods = examination.pods().await;
    let listeners = examination.ours(pods.as_ref()).await;
    examination.network(listeners).await;
    let node = examination.settings.node;
    let findings = examination.findings.into_iter();
    Report::new(
        findings
            .map(|one| remedy::on(node.as_deref(), one))
            .collect(),
    )
}

/// The pods' cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pods {
    root: PathBuf,
    kubepods: PathBuf,
    id: u64,
}

struct Examination {
    settings: Settings,
    findings: Vec<Finding>,
}

impl Examination {
    /// What the machine must have.
    async fn machine(&mut self) {
        self.check(Check::Kernel, kernel::gather, kernel::judge)
            .await;
        self.check(Check::Btf, kernel::gather_btf, kernel::judge_btf)
            .await;
        self.check(
            Check::Capabilities,
            capabilities::gather,
            capabilities::judge,
        )
        .await;
        let pin_dir = self.settings.pin_dir.clone();
        let gather = move || bpffs::gather(&pin_dir);
        self.check(Check::Bpffs, gather, bpffs::judge).await;
    }

    /// Where the pods are.
    async fn pods(&mut self) -> Option<Pods> {
        let root = self.settings.cgroup_root.clone();
        let gather = move || cgroup::gather(&root);
        let tree = self.check(Check::Cgroup, gather, cgroup::judge).await;
        let Some(root) = tree.and_then(|tree| tree.root.ok()) else {
            self.skip(Check::Kubepods, Check::Cgroup);
            return None;
        };
        let given = self.settings.kubepods.clone();
        let gather = move || cgroup::gather_pods(root, given.as_deref());
        let found = self.check(Check::Kubepods, gather, cgroup::judge_pods);
        found.await?.found.ok()?
    }

    /// What of ours is there, and what is in its way. Gives where the agent listens, if that can be told.
    async fn ours(&mut self, pods: Option<&Pods>) -> Option<Vec<SocketAddr>> {
        let (dir, pins) = (
            self.settings.runtime_dir.clone(),
            self.settings.pin_dir.clone(),
        );
        let gather = move || agent::gather(&dir, &pins);
        let agent = self.check(Check::Agent, gather, agent::judge).await;
        let status = agent.and_then(agent::Facts::into_status);

        let (pin_dir, answers) = (self.settings.pin_dir.clone(), status.is_some());
        let id = pods.map(|pods| pods.id);
        let gather = move || programs::gather(&pin_dir, id, answers);
        let programs = self.check(Check::Programs, gather, programs::judge).await;
        let attached = programs.is_some_and(|facts| facts.is_attached());

        if let Some(pods) = pods.cloned() {
            let pin_dir = self.settings.pin_dir.clone();
            let gather = move || conflicts::gather(&pods, &pin_dir, attached);
            self.check(Check::Conflicts, gather, conflicts::judge).await;
        } else {
            self.skip(Check::Conflicts, Check::Kubepods);
        }
        let pin_dir = self.settings.pin_dir.clone();
        let listeners = status.map(|status| status.listeners);
        let told = listeners.clone();
        let gather = move || lease::gather(&pin_dir, told);
        let lease = self.check(Check::Lease, gather, lease::judge).await;
        listeners.or(lease.and_then(lease::Facts::into_proxies))
    }

    /// Whom the agent has to reach, and who has to reach it.
    async fn network(&mut self, listeners: Option<Vec<SocketAddr>>) {
        let addr = self.settings.metadata.clone();
        let gather = move || metadata::gather(addr);
        let metadata = self.check(Check::Metadata, gather, metadata::judge).await;
        let sts = self.check(Check::Sts, sts::gather, sts::judge).await;
        let sts = sts.and_then(|facts| facts.ahead());
        let metadata = metadata.and_then(|facts| facts.ahead());
        let ahead = sts.map(Ahead::of_sts).or(metadata.map(Ahead::of_metadata));
        self.check(Check::Clock, move || clock::Facts(ahead), clock::judge)
            .await;

        let netns_dir = self.settings.netns_dir.clone();
        let gather = move || listener::gather(&netns_dir, listeners);
        self.check(Check::Listener, gather, listener::judge).await;
        self.check(Check::Leftovers, leftovers::gather, leftovers::judge)
            .await;
    }

    /// Says that a check needs what another one has not found.
    fn skip(&mut self, check: Check, needs: Check) {
        let (what, fix) = (
            "not looked at, for want of what is above",
            format!("see above: {needs}"),
        );
        self.findings.push(Finding::warning(check, what, fix));
    }

    /// Makes one check. The facts are for those that follow.
    async fn check<F: Send + 'static>(
        &mut self,
        check: Check,
        gather: impl FnOnce() -> F + Send + 'static,
        judge: impl FnOnce(&F) -> Vec<Finding> + Send + 'static,
    ) -> Option<F> {
        let work = move || {
            let facts = gather();
            (judge(&facts), facts)
        };
        match bounded::run(work).await {
            Ok((findings, facts)) => {
                self.findings.extend(findings);
                Some(facts)
            }
            Err(lost) => {
                self.findings.push(Lost::told(lost, check));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
