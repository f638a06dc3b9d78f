//! Rules of the firewall and of address translation: kube2iam makes some, bpf2iam none.

use std::{fs, io, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Place, netns::Netns};

use crate::exec;

use super::scene::Scene;

/// The tables of iptables that a network namespace has, by its own `/proc`.
const TABLES: [&str; 2] = [
    "/proc/thread-self/net/ip_tables_names",
    "/proc/thread-self/net/ip6_tables_names",
];

/// What rules are looked for with.
pub(super) struct Search {
    /// `nft`, where it works: not every kernel has nftables.
    nft: Option<PathBuf>,
}

impl Search {
    /// With what this machine has.
    pub(super) fn new() -> Self {
        let nft = exec::find("nft");
        Self {
            nft: nft.filter(|nft| exec::works(Command::new(nft).args(["list", "tables"]))),
        }
    }

    /// What was looked for, and with what.
    pub(super) const fn describe(&self) -> [&'static str; 2] {
        match self.nft {
            Some(_) => ["nftables or iptables rule", "nft, ip_tables_names"],
            None => ["iptables rule", "ip_tables_names; nft cannot run here"],
        }
    }

    /// What there is, in the node and in each pod.
    pub(super) fn all(&self, scene: &Scene<'_>) -> Result<Vec<String>> {
        let node = scene.stage.node();
        let mut found = self.within(node.netns(), &node.host())?;
        for actor in scene.cast() {
            if let Some(netns) = actor.pod.netns() {
                found.extend(self.within(netns, &actor.place())?);
            }
        }
        Ok(found)
    }

    fn within(&self, netns: &Netns, place: &Place) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for table in TABLES {
            let names = netns.run(|| read(table))??;
            found.extend(
                names
                    .lines()
                    .map(|name| format!("{}: {name}", netns.name())),
            );
        }
        if let Some(nft) = &self.nft {
            let rules = exec::capture(place.command(nft)?.args(["list", "ruleset"]))?;
            found.extend(
                rules
                    .lines()
                    .map(|rule| format!("{}: {rule}", netns.name())),
            );
        }
        Ok(found)
    }
}

/// What a file says. There is none where this kernel has no such tables.
fn read(file: &str) -> Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result.context(file.to_owned()),
    }
}
