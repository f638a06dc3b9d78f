//! The tree of metadata: every leaf with its text, and listings of what lies below a directory.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{LEAK_MARK, clock::spelled};

use super::{instance::Instance, keys::NodeKeys};

/// Everything below a version, by path without a slash at either end.
pub(super) struct Tree(Leaves);

/// Leaves by their paths below a version, without a slash at either end.
pub type Leaves = BTreeMap<String, String>;

impl Tree {
    /// What `instance` looks like while its role has these `keys`.
    pub(super) fn new(instance: &Instance, keys: &NodeKeys) -> Self {
        let mut tree = Self(BTreeMap::new());
        tree.add("user-data", &instance.user_data);
        tree.add_metadata(instance);
        tree.add_tags(instance);
        tree.add_identity(instance, keys);
        tree.add_own_keys(keys);
        if let Some(role) = &instance.role {
            tree.add_role(instance, role, keys);
        }
        tree
    }

    /// The same, but for these leaves.
    pub(super) fn changed(mut self, changes: &BTreeMap<String, Option<String>>) -> Self {
        for (path, text) in changes {
            match text {
                Some(text) => self.add(path, text),
                None => drop(self.0.remove(path)),
            }
        }
        self
    }

    /// All leaves.
    pub(super) fn leaves(self) -> Leaves {
        self.0
    }

    /// The text at `path`: of a leaf, or the listing of a directory.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let leaf = self.0.get(path).cloned();
        leaf.or_else(|| self.list(path))
    }

    fn add(&mut self, path: &str, text: impl Into<String>) {
        self.0.insert(path.to_owned(), text.into());
    }

    fn add_metadata(&mut self, instance: &Instance) {
        for (path, text) in metadata(instance) {
            self.add(&format!("meta-data/{path}"), text);
        }
        let place = [("group-name", &instance.group), ("host-id", &instance.host)];
        for (name, text) in place {
            if let Some(text) = text {
                self.add(&format!("meta-data/placement/{name}"), text);
            }
        }
        for (path, text) in interface(instance) {
            let mac = &instance.mac;
            self.add(
                &format!("meta-data/network/interfaces/macs/{mac}/{path}"),
                text,
            );
        }
        self.add("dynamic/fws/instance-monitoring", "disabled");
    }

    fn add_tags(&mut self, instance: &Instance) {
        for (key, value) in &instance.tags {
            self.add(&format!("meta-data/tags/instance/{key}"), value);
        }
    }

    fn add_role(&mut self, instance: &Instance, role: &str, keys: &NodeKeys) {
        let (partition, account) = (instance.partition(), &instance.account);
        let profile = format!("arn:{partition}:iam::{account}:instance-profile/{role}");
        let info = [
            ("Code", json!("Success")),
            ("LastUpdated", json!(spelled(keys.issued))),
            ("InstanceProfileArn", json!(profile)),
            ("InstanceProfileId", json!("AIPA0123456789ABCDEFG")),
        ];
        self.add("meta-data/iam/info", spaced(&info));
        let path = format!("meta-data/iam/security-credentials/{role}");
        self.add(&path, credentials(keys));
    }

    /// The instance's own identity, which has keys as well.
    fn add_own_keys(&mut self, keys: &NodeKeys) {
        let path = "meta-data/identity-credentials/ec2";
        let info = [
            ("Code", json!("Success")),
            ("LastUpdated", json!(spelled(keys.issued))),
        ];
        self.add(&format!("{path}/info"), spaced(&info));
        let instance = format!("{path}/security-credentials/ec2-instance");
        self.add(&instance, credentials(keys));
    }

    fn add_identity(&mut self, instance: &Instance, keys: &NodeKeys) {
        let document = [
            ("accountId", json!(instance.account)),
            ("architecture", json!("x86_64")),
            ("availabilityZone", json!(instance.zone())),
            ("billingProducts", list_or_null(&instance.billing_products)),
            ("devpayProductCodes", Value::Null),
            ("marketplaceProductCodes", Value::Null),
            ("imageId", json!(instance.image)),
            ("instanceId", json!(instance.id)),
            ("instanceType", json!(instance.instance_type)),
            ("kernelId", Value::Null),
            ("pendingTime", json!(spelled(keys.issued))),
            ("privateIp", json!(instance.local_ipv4)),
            ("ramdiskId", Value::Null),
            ("region", json!(instance.region)),
            ("version", json!("2017-09-30")),
        ];
        self.add("dynamic/instance-identity/document", spaced(&document));
        for proof in ["pkcs7", "rsa2048", "signature"] {
            let path = format!("dynamic/instance-identity/{proof}");
            self.add(&path, format!("{LEAK_MARK}/{proof}/MIAGCSqGSIb3DQEH"));
        }
    }

    /// The names below `path`, one a line; a directory has a slash behind its name, but not at the top.
    fn list(&self, path: &str) -> Option<String> {
        let prefix = match path {
            "" => String::new(),
            _ => format!("{path}/"),
        };
        let mut names = BTreeMap::new();
        for below in self.0.keys().filter_map(|leaf| leaf.strip_prefix(&prefix)) {
            let (name, slash) = match below.split_once('/') {
                Some((name, _)) if path.is_empty() => (name, ""),
                Some((name, _)) => (name, "/"),
                None => (below, ""),
            };
            let known = names.entry(name).or_insert(slash);
            *known = slash.max(known);
        }
        let lines: Vec<_> = names
            .iter()
            .map(|(name, slash)| format!("{name}{slash}"))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// What is below `meta-data` on every instance.
fn metadata(instance: &Instance) -> Vec<(&'static str, String)> {
    let fixed = [
        ("ami-launch-index", "0"),
        ("ami-manifest-path", "(unknown)"),
        ("autoscaling/target-lifecycle-state", "InService"),
        ("block-device-mapping/ami", "/dev/xvda"),
        ("block-device-mapping/root", "/dev/xvda"),
        ("events/maintenance/history", "[]"),
        ("events/maintenance/scheduled", "[]"),
        ("instance-action", "none"),
        ("instance-life-cycle", "on-demand"),
        ("public-keys", "0=AKIDNODE-key"),
        ("profile", "default-hvm"),
        ("services/domain", instance.domain()),
        ("services/partition", instance.partition()),
        ("system", "nitro"),
    ];
    let mut leaves: Vec<_> = fixed.map(|(path, text)| (path, text.to_owned())).into();
    leaves.extend([
        ("ami-id", instance.image.clone()),
        ("hostname", instance.hostname()),
        ("instance-id", instance.id.clone()),
        ("instance-type", instance.instance_type.clone()),
        ("local-hostname", instance.hostname()),
        ("local-ipv4", instance.local_ipv4.clone()),
        ("mac", instance.mac.clone()),
        (
            "managed-ssh-keys/signer-cert",
            format!("-----BEGIN CERTIFICATE-----\n{LEAK_MARK}signer\n-----END CERTIFICATE-----"),
        ),
        ("placement/availability-zone", instance.zone()),
        ("placement/availability-zone-id", instance.zone_id()),
        ("placement/region", instance.region.clone()),
        ("product-codes", format!("{LEAK_MARK}product")),
        ("public-hostname", instance.public_hostname()),
        ("public-ipv4", instance.public_ipv4.clone()),
        (
            "public-keys/0/openssh-key",
            format!("ssh-ed25519 {LEAK_MARK} node-key"),
        ),
        ("reservation-id", format!("r-0{LEAK_MARK}12345678")),
        ("security-groups", format!("{LEAK_MARK}-nodes")),
    ]);
    leaves
}

/// What is below the address of a network interface.
fn interface(instance: &Instance) -> Vec<(&'static str, String)> {
    let marked = |prefix: &str| format!("{prefix}-0{LEAK_MARK}12345678");
    vec![
        ("device-number", "0".to_owned()),
        ("interface-id", marked("eni")),
        ("local-hostname", instance.hostname()),
        ("local-ipv4s", instance.local_ipv4.clone()),
        ("mac", instance.mac.clone()),
        ("owner-id", instance.account.clone()),
        ("public-ipv4s", instance.public_ipv4.clone()),
        ("security-group-ids", marked("sg")),
        ("security-groups", format!("{LEAK_MARK}-nodes")),
        ("subnet-id", marked("subnet")),
        ("vpc-id", marked("vpc")),
    ]
}

fn list_or_null(products: &[String]) -> Value {
    match products {
        [] => Value::Null,
        products => json!(products),
    }
}

fn credentials(keys: &NodeKeys) -> String {
    spaced(&[
        ("Code", json!("Success")),
        ("LastUpdated", json!(spelled(keys.issued))),
        ("Type", json!("AWS-HMAC")),
        ("AccessKeyId", json!(keys.access_key_id)),
        ("SecretAccessKey", json!(keys.secret_access_key)),
        ("Token", json!(keys.token)),
        ("Expiration", json!(spelled(keys.expires))),
    ])
}

/// JSON in the layout of EC2: one key a line, two spaces before it, spaces around the colon, no newline at the end.
fn spaced(entries: &[(&str, Value)]) -> String {
    let lines: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("  \"{key}\" : {value}"))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests;
