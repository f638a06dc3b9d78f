//! What of the instance's tree a pod sees beside its role.

use bytes::Bytes;
use tokio::time::{self, Instant};

use crate::{
    id::RoleArn,
    imds::{outcome::Outcome, response::Answer, route::Verb},
    metadata::{Allow, DOCUMENT, Iam, View, filtered, without_secrets},
    pods::{Subject, binding::Binding},
    upstream::Item,
};

use super::{Service, Supply};

impl<S: Supply> Service<S> {
    /// What is at `path`, for a pod that has been given `binding`.
    pub(super) async fn tree(
        &self,
        path: &str,
        verb: Verb,
        (subject, binding): (&Subject, &Binding),
        deadline: Instant,
    ) -> Result<Answer, Outcome> {
        let said = subject.namespace.as_ref().map(|namespace| namespace.said());
        let nothing = Allow::default();
        let view = View {
            operator: &self.pods.policy().allow,
            namespace: said.map_or(&nothing, |said| &said.allow),
        };
        let leaf = view.may_read(path);
        if !leaf && !view.may_list(path) {
            return Err(Outcome::Path);
        }
        if verb == Verb::Other {
            return Err(Outcome::Method);
        }
        let role = role(binding);
        // Boxed, so that requests for credentials need no room for it.
        let read = Box::pin(self.instance.read(path, (subject.pod.uid, role)));
        let item = time::timeout_at(deadline, read)
            .await
            .map_err(|_late| Outcome::Upstream)??
            .ok_or(Outcome::Missing)?;
        // No directory is empty: that is no listing.
        if !leaf && item.text.is_empty() {
            return Err(Outcome::Upstream);
        }
        let text = if path == DOCUMENT {
            let document = without_secrets(&item.text).map(Bytes::from);
            document.ok_or(Outcome::Upstream)?
        } else if leaf {
            item.text
        } else {
            listing(path, &item, &view, role).ok_or(Outcome::Path)?
        };
        Ok(Answer::served(text, item.modified))
    }
}

/// What the pod may see of a listing.
fn listing(path: &str, item: &Item, view: &View<'_>, role: Option<&RoleArn>) -> Option<Bytes> {
    let listing = str::from_utf8(&item.text).ok()?;
    let iam = if role.is_some() {
        Iam::Shown
    } else {
        Iam::Hidden
    };
    filtered(path, listing, view, iam).map(Bytes::from)
}

/// The role of a pod that has one.
fn role(binding: &Binding) -> Option<&RoleArn> {
    match binding {
        Binding::Role(identity, _) => Some(&identity.role),
        Binding::Node(_)
        | Binding::Nothing(_)
        | Binding::Invalid(..)
        | Binding::Forbidden(..)
        | Binding::Unknown(_) => None,
    }
}
