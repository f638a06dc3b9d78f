//! What a node's object says of the machine. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Well-known labels of nodes.
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

/// What is known of the machine. Nothing of it is anything but letters, digits, dots and dashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The Region.
    pub region: Option<String>,
    /// The availability zone.
    pub zone: Option<String>,
    /// `i-...`, if it is an EC2 instance.
    pub instance_id: Option<String>,
    /// What kind of machine it is.
    pub instance_type: Option<String>,
}

/// A node, as far as we read it.
#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Metadata {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
}

impl NodeFacts {
    /// What is in `object`, a node as the API server shows it.
    pub(super) fn read(object: &str) -> serde_json::Result<Self> {
        let node: Node = serde_json::from_str(object)?;
        let labels = node.metadata.labels.unwrap_or_default();
        let label = |name| plain(labels.get(name)?);
        let (zone, instance_id) = of_provider(&node.spec.provider_id.unwrap_or_default());
        Ok(Self {
            region: label(REGION),
            zone: label(ZONE).or(zone),
            instance_id,
            instance_type: label(INSTANCE_TYPE),
        })
    }

    /// Whether nothing that matters is missing.
    pub(super) const fn are_enough(&self) -> bool {
        self.region.is_some() && self.zone.is_some()
    }
}

/// The zone and the instance in `aws:///ZONE/i-...`. Other clouds, and other machines of this one, have neither.
fn of_provider(id: &str) -> (Option<String>, Option<String>) {
    let path = id.strip_prefix("aws://").unwrap_or_default();
    let mut from_end = path.rsplit('/');
    let instance = from_end.next().filter(|text| is_instance(text));
    let zone = from_end.next().and_then(plain);
    match instance {
        Some(instance) => (zone, Some(instance.to_owned())),
        None => (None, None),
    }
}

fn is_instance(text: &str) -> bool {
    let number = text.strip_prefix("i-").unwrap_or_default();
    let is_hex = number.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && (8..=32).contains(&number.len())
}

/// `text`, if pods can be told so: it ends up in answers, and is of whoever may write nodes.
fn plain(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_plain = !text.is_empty() && text.len() <= 63 && text.bytes().all(fits);
    is_plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(node: &Value) -> [Option<String>; 4] {
        let facts = NodeFacts::read(&node.to_string()).unwrap();
        [
            facts.region,
            facts.zone,
            facts.instance_id,
            facts.instance_type,
        ]
    }

    fn node(labels: &Value, provider: &str) -> Value {
        json!({
            "kind": "Node", "metadata": {"name": "node-1", "labels": labels},
            "spec": {"providerID": provider}, "status": {"images": [{"names": ["x"]}]},
        })
    }

    #[test]
    fn labels_and_the_providers_id_say_where_a_node_is() {
        let labels = json!({
            REGION: "eu-west-1", ZONE: "eu-west-1a", INSTANCE_TYPE: "m5.large", "other": "x",
        });
        let all = |id: Option<&str>| {
            let known = ["eu-west-1", "eu-west-1a"].map(|text| Some(text.to_owned()));
            let [region, zone] = known;
            [region, zone, id.map(Into::into), Some("m5.large".into())]
        };
        let id = "i-0123456789abcdef0";
        for (provider, known) in [
            ("aws:///eu-west-1a/i-0123456789abcdef0", Some(id)),
            ("aws:///eu-west-1b/i-0123456789abcdef0", Some(id)),
            ("aws:///i-0123456789abcdef0", Some(id)),
            ("kind://docker/kind/kind-control-plane", None),
            (
                "aws:///eu-west-1a/9bf6c7ff/fargate-ip-10-0-0-1.ec2.internal",
                None,
            ),
            ("gce://project/europe-west1-b/i-0123456789abcdef0", None),
            ("", None),
        ] {
            assert_eq!(read(&node(&labels, provider)), all(known), "{provider}");
        }
    }

    #[test]
    fn a_zone_without_a_label_is_the_providers() {
        let [region, zone, ..] = read(&node(&json!({}), "aws:///us-west-2-lax-1a/i-01234567"));
        assert_eq!((region, zone.as_deref()), (None, Some("us-west-2-lax-1a")));
    }

    #[test]
    fn what_is_not_there_or_not_plain_is_not_known() {
        for nothing in [
            json!({}),
            json!({"metadata": {"labels": null}, "spec": {}}),
            node(&json!({REGION: "", ZONE: "a\nb"}), "aws:///a b/i-xyz"),
            node(&json!({REGION: "<b>", ZONE: "x".repeat(64)}), "i-01234567"),
        ] {
            assert_eq!(read(&nothing), [const { None }; 4], "{nothing}");
        }
        for no_node in ["", "7", "\"x\"", r#"{"metadata": 7}"#] {
            assert!(NodeFacts::read(no_node).is_err(), "{no_node}");
        }
    }

    #[test]
    fn region_and_zone_are_enough() {
        let known = |region: bool, zone: bool| NodeFacts {
            region: region.then(|| "eu-west-1".to_owned()),
            zone: zone.then(|| "eu-west-1a".to_owned()),
            ..NodeFacts::default()
        };
        for (region, zone) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(known(region, zone).are_enough(), region && zone);
        }
    }
}
