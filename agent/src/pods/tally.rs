//! How many pods get what, as gauges. They are read off the index at each scrape, so they cannot drift from it.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::{
    binding::{self, Binding, Policy},
    index::Store,
};

/// Adds the gauges of `store`, decided by `policy`, to `registry`.
pub fn register(store: Store, policy: Arc<Policy>, registry: &mut Registry) {
    registry.register_collector(Box::new(Tally { store, policy }));
}

#[derive(Debug)]
struct Tally {
    store: Store,
    policy: Arc<Policy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// Every [`word`].
const WORDS: [&str; 6] = ["bound", "node", "none", "invalid", "forbidden", "unknown"];

const fn word(binding: &Binding) -> &'static str {
    match binding {
        Binding::Role(..) => "bound",
        Binding::Node(_) => "node",
        Binding::Nothing(_) => "none",
        Binding::Invalid(..) => "invalid",
        Binding::Forbidden(..) => "forbidden",
        Binding::Unknown(_) => "unknown",
    }
}

impl Tally {
    /// Every result with its number. A pod counts once, and each of its containers that has a role of its own.
    fn count(&self) -> [(&'static str, u64); 6] {
        let mut counted = WORDS.map(|word| (word, 0));
        for subject in self.store.snapshot().pods() {
            for name in binding::containers(&subject.pod).map(Some).chain([None]) {
                let result = word(&binding::decide_for(subject, name, &self.policy));
                for (word, count) in &mut counted {
                    *count += u64::from(*word == result);
                }
            }
        }
        counted
    }
}

impl Collector for Tally {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(
            "bindings",
            "Pods of this node and containers with a role of their own, by what is decided about their role",
            None,
            MetricType::Gauge,
        )?;
        for (result, count) in self.count() {
            ConstGauge::new(count).encode(metric.encode_family(&Labels { result })?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::PodRef,
        metrics,
        pods::{
            Namespace, Pod, Subject,
            annotation::{CONTAINER, NO_ROLE, ROLE},
            index, restriction,
        },
    };

    const ARN: &str = "arn:aws:iam::123456789012:role/r";

    fn subject(number: u8, annotations: &[(&str, &str)]) -> Subject {
        let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
        let mut pod = Pod::new(
            uid.parse().unwrap(),
            PodRef::new("shop", format!("cart-{number}")),
        );
        let annotations = annotations.iter();
        pod.annotations = annotations
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let namespace = [(
            "iam.amazonaws.com/allowed-roles".to_owned(),
            format!(r#"["{ARN}"]"#),
        )];
        Subject {
            namespace: Some(Namespace::new(namespace).into()),
            ..Subject::alone(pod)
        }
    }

    #[test]
    fn each_pod_and_each_container_with_its_own_role_counts() {
        let (writer, store) = index::new();
        let policy = Policy {
            restrictions: Some(restriction::Rules::default()),
            node_role: "pay".parse().into_iter().collect(),
            ..Policy::new("node")
        };
        let sidecar = format!("{CONTAINER}sidecar");
        let unknown = Subject {
            namespace: None,
            ..subject(6, &[(ROLE, ARN)])
        };
        let mut node = subject(7, &[]);
        Arc::make_mut(&mut node.pod).name = PodRef::new("pay", "cart");
        writer.reset([
            node,
            subject(1, &[(ROLE, ARN)]),
            subject(2, &[(ROLE, ARN), (&sidecar, NO_ROLE)]),
            subject(3, &[]),
            subject(4, &[(ROLE, "arn:aws:iam::123456789012:role/other")]),
            subject(5, &[(ROLE, "no role")]),
            unknown,
        ]);
        let mut registry = metrics::registry(jiff::Timestamp::UNIX_EPOCH);
        register(store, policy.into(), &mut registry);
        let page = metrics::encode(&registry).unwrap();
        for line in [
            r#"bpf2iam_bindings{result="bound"} 2"#,
            r#"bpf2iam_bindings{result="node"} 1"#,
            r#"bpf2iam_bindings{result="none"} 2"#,
            r#"bpf2iam_bindings{result="invalid"} 1"#,
            r#"bpf2iam_bindings{result="forbidden"} 1"#,
            r#"bpf2iam_bindings{result="unknown"} 1"#,
        ] {
            assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
        }
    }
}
