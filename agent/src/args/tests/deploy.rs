//! What is shipped in `deploy/` says what the agent understands, and what Kubernetes does.

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::DaemonSet,
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::flags_of;

/// Where the chart lists the flags that are values of the same name.
const SETTINGS: &str = include_str!("../../../../deploy/chart/templates/_helpers.tpl");
const SCHEMA: &str = include_str!("../../../../deploy/chart/values.schema.json");
const MANIFESTS: [&str; 4] = [
    include_str!("../../../../deploy/manifests/0-namespace.yaml"),
    include_str!("../../../../deploy/manifests/1-rbac.yaml"),
    include_str!("../../../../deploy/manifests/2-web-identity.yaml"),
    include_str!("../../../../deploy/manifests/3-daemonset.yaml"),
];

/// The flags that are no such values. Those of the pod itself, of one that is a switch with more behind it, of a directory
/// that is the pod's own, of where pods come from, which is the cluster; and those that only kube2iam needs, or that another says as well.
const OTHERS: &str = "node-name node-ip daemon-set startup-taint runtime-dir pods kubeconfig api-server api-token insecure verbose \
    metrics-port iptables host-interface use-regional-sts-endpoint cache-resync-period resolve-duplicate-cache-ips \
    backoff-max-elapsed-time backoff-max-interval iam-role-session-ttl iam-role-error-ttl debug";

fn names_of_flags() -> Vec<String> {
    let flags = flags_of("run").into_iter();
    flags
        .map(|arg| arg.get_long().unwrap().to_owned())
        .collect()
}

/// `--listen-port` is `listenPort`.
fn camel(flag: &str) -> String {
    let mut words = flag.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (letter, rest) = word.split_at(1);
        name + &letter.to_uppercase() + rest
    })
}

fn documents() -> Vec<Value> {
    let all = MANIFESTS.iter().flat_map(|file| file.split("---\n"));
    all.map(|text| serde_saphyr::from_str(text).unwrap())
        .collect()
}

#[test]
fn every_flag_is_a_value_of_the_chart_or_is_none_for_a_reason() {
    let (_, list) = SETTINGS.split_once("$settings := list").unwrap();
    let (list, _) = list.split_once("-}}").unwrap();
    let settings: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let flags = names_of_flags();
    for flag in &flags {
        let value = camel(flag);
        let is_setting = settings.contains(&&*value);
        let is_other = OTHERS.split_whitespace().any(|other| other == flag);
        assert!(is_setting != is_other, "--{flag}: {value}");
        assert_eq!(
            schema["properties"].get(&value).is_some(),
            is_setting || value == "startupTaint",
            "{value}"
        );
    }
    for setting in settings {
        assert!(flags.iter().any(|flag| camel(flag) == setting), "{setting}");
    }
}

#[test]
fn the_manifests_set_no_variable_that_nobody_reads() {
    let known: Vec<_> = flags_of("run")
        .iter()
        .filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned))
        .collect();
    let documents = documents();
    let set = documents
        .iter()
        .find(|object| object["kind"] == "DaemonSet")
        .unwrap();
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let names = container["env"].as_array().unwrap().iter();
    let ours: Vec<_> = names
        .filter_map(|env| env["name"].as_str())
        .filter(|name| name.starts_with("BPF2IAM_"))
        .collect();
    assert!(ours.contains(&"BPF2IAM_DAEMON_SET"), "{ours:?}");
    for name in ours {
        assert!(known.iter().any(|known| known == name), "{name}");
    }
    for probe in ["startupProbe", "readinessProbe"] {
        let command = &container[probe]["exec"]["command"];
        assert_eq!(command, &serde_json::json!(["bpf2iam", "ready"]), "{probe}");
    }
}

/// What remains of an object when Kubernetes has left out what it does not know.
fn understood<T: Serialize + DeserializeOwned>(object: &Value) -> Value {
    let object: T = serde_json::from_value(object.clone()).unwrap();
    serde_json::to_value(object).unwrap()
}

#[test]
fn the_manifests_say_nothing_that_kubernetes_does_not_know() {
    let mut kinds = Vec::new();
    for object in documents() {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let known = match &*kind {
            "Namespace" => understood::<Namespace>(&object),
            "ServiceAccount" => understood::<ServiceAccount>(&object),
            "ClusterRole" => understood::<ClusterRole>(&object),
            "ClusterRoleBinding" => understood::<ClusterRoleBinding>(&object),
            "Role" => understood::<Role>(&object),
            "RoleBinding" => understood::<RoleBinding>(&object),
            "ValidatingAdmissionPolicy" => understood::<ValidatingAdmissionPolicy>(&object),
            "ValidatingAdmissionPolicyBinding" => {
                understood::<ValidatingAdmissionPolicyBinding>(&object)
            }
            "DaemonSet" => understood::<DaemonSet>(&object),
            other => panic!("{other} is new here"),
        };
        assert_eq!(known, object, "{kind}");
        kinds.push(kind);
    }
    assert_eq!((&*kinds[0], kinds.len()), ("Namespace", 11));
}
