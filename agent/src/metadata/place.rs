//! The metadata of a machine that is no EC2 instance, made up from what is known of it. What is not known does not exist.

use std::collections::BTreeSet;

use crate::id::{Partition, RoleArn};

use super::{
    Access, access, document,
    table::{DOCUMENT, below},
};

/// What is known of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The Region.
    pub region: Option<String>,
    /// The availability zone.
    pub zone: Option<String>,
    /// `i-...`, where Kubernetes knows the machine by such an id.
    pub instance_id: Option<String>,
    /// As in the node's label.
    pub instance_type: Option<String>,
    /// The account of the base ARN, if there is one.
    pub account: Option<String>,
}

impl Place {
    /// What is at `path`, for a pod that has `role`: a leaf's text or a directory's listing.
    pub fn read(&self, path: &str, role: Option<&RoleArn>) -> Option<String> {
        if access(path) == Access::Never {
            return None;
        }
        let leaves = self.leaves(role);
        let leaf = leaves.iter().find(|(leaf, _)| *leaf == path);
        // A pod's role is read elsewhere; here it is a name in a listing.
        let iam = role.map(|_| "meta-data/iam/info");
        let paths: Vec<_> = leaves.iter().map(|(leaf, _)| *leaf).chain(iam).collect();
        leaf.map(|(_, text)| text.clone())
            .or_else(|| list(path, &paths))
    }

    fn leaves(&self, role: Option<&RoleArn>) -> Vec<(&'static str, String)> {
        let partition = self.region.as_deref().and_then(Partition::of);
        let leaves = [
            ("meta-data/instance-id", self.instance_id.clone()),
            ("meta-data/instance-type", self.instance_type.clone()),
            ("meta-data/placement/availability-zone", self.zone.clone()),
            ("meta-data/placement/region", self.region.clone()),
            (
                "meta-data/services/domain",
                partition.map(|known| known.domain().to_owned()),
            ),
            (
                "meta-data/services/partition",
                partition.map(|known| known.name().to_owned()),
            ),
            (DOCUMENT, self.document(role)),
        ];
        let known = leaves.into_iter();
        known
            .filter_map(|(path, text)| Some((path, text?)))
            .collect()
    }

    fn document(&self, role: Option<&RoleArn>) -> Option<String> {
        let account = self.account.as_deref();
        document::made(&[
            ("accountId", account.or_else(|| role.map(RoleArn::account))),
            ("availabilityZone", self.zone.as_deref()),
            ("instanceId", self.instance_id.as_deref()),
            ("instanceType", self.instance_type.as_deref()),
            ("region", self.region.as_deref()),
        ])
    }
}

/// The listing of `directory`: of `paths`, what is below it. At the top, directories have no slash.
fn list(directory: &str, paths: &[&str]) -> Option<String> {
    let names = paths.iter().filter_map(|path| below(path, directory));
    let names = names.map(|name| match name.split_once('/') {
        Some((name, _)) if directory.is_empty() => name.to_owned(),
        Some((name, _)) => format!("{name}/"),
        None => name.to_owned(),
    });
    let names: BTreeSet<_> = names.collect();
    (!names.is_empty()).then(|| Vec::from_iter(names).join("\n"))
}

#[cfg(test)]
mod tests;
