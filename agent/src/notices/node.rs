//! Pods that have the node's own identity are nobody's mistake, and still something that people should know: the log
//! says it of each, once.

use std::{collections::HashSet, sync::Arc};

use crate::{
    id::PodUid,
    pods::{
        Subject,
        binding::{self, Binding, Policy},
        index::Snapshot,
    },
};

/// The pods of which it was said.
#[derive(Debug, Default)]
pub(super) struct Nodes(HashSet<PodUid>);

impl Nodes {
    /// Says it of those of which it was not said yet, and forgets those that are gone.
    pub(super) fn say(&mut self, snapshot: &Snapshot, policy: &Policy) {
        for subject in self.unsaid(snapshot, policy) {
            let pod = &subject.pod;
            let entry = policy.node_role.find(pod).map(tracing::field::display);
            tracing::info!(pod = %pod.name, uid = %pod.uid, entry, "a pod keeps the node's own role");
        }
    }

    fn unsaid(&mut self, snapshot: &Snapshot, policy: &Policy) -> Vec<Arc<Subject>> {
        let is_node = |subject: &&Arc<Subject>| {
            matches!(binding::decide_for(subject, None, policy), Binding::Node(_))
        };
        let nodes: Vec<_> = snapshot.pods().filter(is_node).cloned().collect();
        let before = std::mem::take(&mut self.0);
        self.0 = nodes.iter().map(|subject| subject.pod.uid).collect();
        let is_new = |subject: &Arc<Subject>| !before.contains(&subject.pod.uid);
        nodes.into_iter().filter(is_new).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        id::PodRef,
        pods::{NodeRoleFor, Pod, annotation::ROLE, index},
    };

    use super::*;

    fn pod(number: u8, namespace: &str, annotations: &[(&str, &str)]) -> Subject {
        let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
        let name = PodRef::new(namespace, format!("pod-{number}"));
        let said = annotations.iter();
        Subject::alone(Pod {
            host_network: true,
            annotations: said
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Pod::new(uid.parse().unwrap(), name)
        })
    }

    #[test]
    fn it_is_said_once_of_each_pod_that_has_no_role_of_its_own() {
        let (writer, store) = index::new();
        let policy = Policy {
            node_role: NodeRoleFor::usual(),
            ..Policy::new("node")
        };
        let mut nodes = Nodes::default();
        let mut new = |pods: Vec<Subject>| {
            writer.reset(pods);
            let new = nodes.unsaid(&store.snapshot(), &policy);
            let names = new.iter().map(|subject| subject.pod.name.to_string());
            names.collect::<Vec<_>>()
        };
        let role = [(ROLE, "arn:aws:iam::123456789012:role/r")];
        let proxy = || pod(1, "kube-system", &[]);
        assert_eq!(
            new(vec![proxy(), pod(2, "shop", &[])]),
            ["kube-system/pod-1"]
        );
        assert_eq!(new(vec![proxy(), pod(3, "kube-system", &role)]), [""; 0]);
        let etcd = pod(4, "kube-system", &[]);
        assert_eq!(new(vec![proxy(), etcd]), ["kube-system/pod-4"]);
        assert_eq!(new(vec![pod(2, "shop", &[])]), [""; 0]);
        assert_eq!(new(vec![proxy()]), ["kube-system/pod-1"], "another time");
    }
}
