//! What a list or a watch is about, and what a change is to it.

use std::sync::Arc;

use super::{
    log::{Change, Entry, Interrupt, What},
    object::Object,
    selector::Selector,
};

/// A namespace, or all, and a selector.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Empty for all.
    pub(super) namespace: String,
    pub(super) selector: Selector,
}

impl Scope {
    pub(super) fn has(&self, object: &Object) -> bool {
        let there = self.namespace.is_empty() || self.namespace == object.key.namespace;
        there && self.selector.matches(object)
    }

    /// What a watch says about `entry`, if it says anything. An object that is not in the scope any more is deleted
    /// for it, and shown as it was last.
    pub(super) fn read(&self, entry: &Entry) -> Option<Result<(Change, Arc<Object>), Interrupt>> {
        let event = match &entry.what {
            What::Interrupt(interrupt) => return Some(Err(*interrupt)),
            What::Told(change, object) => self.has(object).then(|| (*change, Arc::clone(object))),
            What::Deleted(last) => self.has(last).then(|| (Change::Deleted, Arc::clone(last))),
            What::Put { before, after } => {
                let before = before.as_ref().filter(|before| self.has(before));
                match (before, self.has(after)) {
                    (None, false) => None,
                    (None, true) => Some((Change::Added, Arc::clone(after))),
                    (Some(_), true) => Some((Change::Modified, Arc::clone(after))),
                    (Some(before), false) => {
                        Some((Change::Deleted, Arc::new(before.at(entry.version))))
                    }
                }
            }
        };
        event.map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::apiserver::{kind::Kind, object::Version};

    use super::*;

    fn pod(node: &str, version: u64) -> Arc<Object> {
        let pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"nodeName": node}});
        Arc::new(Object::parse(pod).unwrap().at(Version(version)))
    }

    #[test]
    fn what_enters_is_added_and_what_leaves_is_deleted() {
        let scope = Scope {
            namespace: String::new(),
            selector: Selector::parse(Kind::Pod, "spec.nodeName=here").unwrap(),
        };
        for (before, after, change) in [
            (None, "here", Some(Change::Added)),
            (None, "there", None),
            (Some("here"), "here", Some(Change::Modified)),
            (Some("there"), "here", Some(Change::Added)),
            (Some("here"), "there", Some(Change::Deleted)),
            (Some("there"), "there", None),
        ] {
            let what = What::Put {
                before: before.map(|node| pod(node, 4)),
                after: pod(after, 5),
            };
            let version = Version(5);
            let said = scope.read(&Entry { version, what });
            let said = said.map(|event| event.unwrap());
            let (said, object) = said.unzip();
            assert_eq!(said, change, "{before:?} {after}");
            if let Some(object) = object {
                assert_eq!(object.version, version);
                assert_eq!(object.text(&["spec", "nodeName"]), "here");
            }
        }
    }

    #[test]
    fn other_namespaces_are_no_concern() {
        let scope = Scope {
            namespace: "other".to_owned(),
            selector: Selector::default(),
        };
        let what = What::Deleted(pod("here", 5));
        let version = Version(5);
        assert!(scope.read(&Entry { version, what }).is_none());
    }
}
