//! Where a DaemonSet wants its pods to be: what of it says so, and whether that is a node. Pure.
//!
//! As the scheduler reads `nodeSelector` and the required node affinity (`pkg/scheduler/framework/plugins/nodeaffinity`,
//! Kubernetes 1.34). Taints are left out: a node that is tainted for a while keeps what it has.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm},
};

/// What of a DaemonSet matters.
#[derive(Clone, Debug)]
pub(super) struct Place {
    going: bool,
    labels: BTreeMap<String, String>,
    /// One of these, if there are any.
    terms: Option<Vec<NodeSelectorTerm>>,
}

impl Place {
    pub(super) fn of(set: &DaemonSet) -> Self {
        let pod = set.spec.template.spec.as_ref();
        let affinity = pod.and_then(|pod| pod.affinity.as_ref()?.node_affinity.as_ref());
        let required = affinity.and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
        Self {
            going: set.metadata.deletion_timestamp.is_some(),
            labels: pod
                .and_then(|pod| pod.node_selector.clone())
                .unwrap_or_default(),
            terms: required.map(|required| required.node_selector_terms.clone()),
        }
    }

    /// Whether it is being deleted: in the foreground, its pods go first.
    pub(super) const fn is_going(&self) -> bool {
        self.going
    }

    /// Whether it wants a pod on `node`.
    pub(super) fn is_on(&self, node: &Node) -> bool {
        let label = |key: &str| node.metadata.labels.as_ref()?.get(key).map(String::as_str);
        let selected = self
            .labels
            .iter()
            .all(|(key, value)| label(key) == Some(value));
        let field = |key: &str| {
            let name = node.metadata.name.as_deref();
            name.filter(|_| key == "metadata.name")
        };
        let fits = |term: &NodeSelectorTerm| {
            let labels = term.match_expressions.as_deref().unwrap_or_default();
            let fields = term.match_fields.as_deref().unwrap_or_default();
            // A term that says nothing fits no node.
            !(labels.is_empty() && fields.is_empty())
                && labels
                    .iter()
                    .all(|wanted| holds(wanted, label(&wanted.key)))
                && fields
                    .iter()
                    .all(|wanted| holds(wanted, field(&wanted.key)))
        };
        let wanted = self.terms.as_ref();
        selected && wanted.is_none_or(|terms| terms.iter().any(fits))
    }
}

/// Whether what is required of a key holds for its `value`.
fn holds(wanted: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|wanted| wanted == value));
    match wanted.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(value, values).is_some_and(|(value, bound)| value > bound),
        "Lt" => compared(value, values).is_some_and(|(value, bound)| value < bound),
        // What we do not understand is no reason to go.
        _ => true,
    }
}

fn compared(value: Option<&str>, values: &[String]) -> Option<(i64, i64)> {
    let [bound] = values else { return None };
    Some((value?.parse().ok()?, bound.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn place(spec: &Value) -> Place {
        let set = json!({
            "metadata": {"name": "bpf2iam"},
            "spec": {
                "selector": {},
                "template": {"spec": spec},
            },
        });
        Place::of(&serde_json::from_value(set).unwrap())
    }

    fn node() -> Node {
        let labels = json!({"role": "worker", "disk": "ssd", "generation": "5"});
        let node = json!({"metadata": {"name": "node-1", "labels": labels}});
        serde_json::from_value(node).unwrap()
    }

    fn required(terms: &Value) -> Value {
        let required = json!({"nodeSelectorTerms": terms});
        json!({
            "containers": [],
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required},
            },
        })
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"key": key, "operator": operator, "values": values})
    }

    #[test]
    fn a_node_is_selected_by_all_labels() {
        for (labels, expected) in [
            (json!({}), true),
            (json!({"role": "worker"}), true),
            (json!({"role": "worker", "disk": "ssd"}), true),
            (json!({"role": "worker", "disk": "hdd"}), false),
            (json!({"absent": ""}), false),
        ] {
            let place = place(&json!({"containers": [], "nodeSelector": labels}));
            assert_eq!(place.is_on(&node()), expected, "{labels}");
        }
    }

    #[test]
    fn each_operator_holds_as_the_scheduler_has_it() {
        for (key, operator, values, expected) in [
            ("role", "In", &["master", "worker"] as &[_], true),
            ("role", "In", &["master"], false),
            ("absent", "In", &["x"], false),
            ("role", "NotIn", &["worker"], false),
            ("role", "NotIn", &["master"], true),
            ("absent", "NotIn", &["x"], true),
            ("role", "Exists", &[], true),
            ("absent", "Exists", &[], false),
            ("role", "DoesNotExist", &[], false),
            ("absent", "DoesNotExist", &[], true),
            ("generation", "Gt", &["4"], true),
            ("generation", "Gt", &["5"], false),
            ("generation", "Lt", &["6"], true),
            ("generation", "Lt", &["5"], false),
            ("role", "Gt", &["1"], false),
            ("generation", "Unheard", &[], true),
        ] {
            let wanted = expression(key, operator, values);
            let place = place(&required(&json!([{"matchExpressions": [wanted]}])));
            assert_eq!(
                place.is_on(&node()),
                expected,
                "{key} {operator} {values:?}"
            );
        }
    }

    #[test]
    fn one_term_is_enough_and_in_it_everything_has_to_hold() {
        let role = |value| expression("role", "In", &[value]);
        let disk = |value| expression("disk", "In", &[value]);
        let name = |value| expression("metadata.name", "In", &[value]);
        for (terms, expected) in [
            (
                json!([{"matchExpressions": [role("worker"), disk("ssd")]}]),
                true,
            ),
            (
                json!([{"matchExpressions": [role("worker"), disk("hdd")]}]),
                false,
            ),
            (
                json!([{"matchExpressions": [disk("hdd")]}, {"matchExpressions": [role("worker")]}]),
                true,
            ),
            (json!([{"matchFields": [name("node-1")]}]), true),
            (json!([{"matchFields": [name("node-2")]}]), false),
            (
                json!([{"matchFields": [name("node-1")], "matchExpressions": [disk("hdd")]}]),
                false,
            ),
            (json!([{}]), false),
            (json!([]), false),
        ] {
            let place = place(&required(&terms));
            assert_eq!(place.is_on(&node()), expected, "{terms}");
        }
    }

    #[test]
    fn a_set_with_a_deletion_timestamp_is_going() {
        let mut set = json!({"spec": {"selector": {}, "template": {}}});
        set["metadata"] = json!({"deletionTimestamp": "2026-01-02T03:04:05Z"});
        assert!(Place::of(&serde_json::from_value(set).unwrap()).is_going());
        assert!(!place(&json!({"containers": []})).is_going());
    }
}
