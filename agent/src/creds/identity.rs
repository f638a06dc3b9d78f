//! Whose session it is, and on what terms: what makes two sessions the same.

use std::sync::Arc;

use crate::id::{ExternalId, PodRef, PodUid, RoleArn};

use super::session::{Policies, SessionLength, Tags};

/// A session at STS. Two pods share credentials only when all of this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The role to assume.
    pub role: RoleArn,
    /// What the role's trust policy asks for, if anything.
    pub external_id: Option<ExternalId>,
    /// The session's name, as STS takes it.
    pub session_name: Arc<str>,
    /// What policies may ask about. A web identity has none here: its tags are in its token.
    pub tags: Tags,
    /// What the session may not do although its role may.
    pub policies: Policies,
    /// How long the session shall last. STS may give less.
    pub length: SessionLength,
    /// Whose token is exchanged for the role, if it is not the node's role that assumes it.
    pub web_identity: Option<WebIdentity>,
}

impl Identity {
    /// A session of `role` called `session_name` for an hour, of which nothing else is said.
    pub fn new(role: RoleArn, session_name: impl Into<Arc<str>>) -> Self {
        Self {
            role,
            external_id: None,
            session_name: session_name.into(),
            tags: Tags::default(),
            policies: Policies::default(),
            length: SessionLength::HOUR,
            web_identity: None,
        }
    }
}

/// A pod that shows its ServiceAccount's token to STS. The token is bound to the pod, and so is the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebIdentity {
    /// The pod.
    pub pod: PodRef,
    /// Its UID at the API server: a later pod may bear the same name.
    pub uid: PodUid,
    /// Its ServiceAccount, in its namespace.
    pub service_account: Arc<str>,
    /// Whom the token is for.
    pub audience: Arc<str>,
    /// How long the token shall live, in seconds.
    pub life: u32,
}
