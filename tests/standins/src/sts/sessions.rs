//! Sessions that were given out. Only this table knows which call an access key came from.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{clock::after, random, shared::Shared};

use super::{parameters::Wanted, protocol::Action};

/// What an access key was given out for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// `ASIA` and 16 random characters.
    pub access_key_id: String,
    /// How it was asked for.
    pub action: Action,
    /// The role's ARN.
    pub role: String,
    /// The session's name.
    pub session_name: String,
    /// The session's ARN, as `GetCallerIdentity` says it.
    pub arn: String,
    /// The length that was asked for, in seconds.
    pub duration_seconds: u64,
    /// The external id that was given.
    pub external_id: Option<String>,
    /// The source identity that was given.
    pub source_identity: Option<String>,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Those that further sessions inherit.
    pub transitive_tag_keys: Vec<String>,
    /// The inline session policy, as it was sent.
    pub policy: Option<String>,
    /// The managed session policies.
    pub policy_arns: Vec<String>,
    /// Whose web identity it was.
    pub subject: Option<String>,
    /// When.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// A session with its secrets.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) issued: Issued,
    pub(super) account: String,
    /// The role's identifier and the session's name.
    pub(super) user_id: String,
    pub(super) secret: String,
    pub(super) token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Session");
        fields.field("issued", &self.issued).finish_non_exhaustive()
    }
}

/// How a session comes to be.
pub(super) struct Terms {
    pub(super) action: Action,
    pub(super) subject: Option<String>,
    pub(super) now: Timestamp,
    pub(super) length: Duration,
}

/// All sessions by access key.
pub(super) struct Sessions(Shared<BTreeMap<String, Session>>);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Shared::default())
    }

    /// Makes a session with keys that nobody has.
    pub(super) fn open(&self, wanted: Wanted, terms: Terms) -> Session {
        let session = Session::new(wanted, terms);
        let key = session.issued.access_key_id.clone();
        // 80 random bits do not come twice.
        self.0
            .with(|sessions| sessions.insert(key, session.clone()));
        session
    }

    pub(super) fn find(&self, access_key_id: &str) -> Option<Session> {
        self.0.with(|sessions| sessions.get(access_key_id).cloned())
    }

    /// All secret keys and session tokens.
    pub(super) fn secrets(&self) -> Vec<String> {
        let secrets = |session: &Session| [session.secret.clone(), session.token.clone()];
        self.0
            .with(|sessions| sessions.values().flat_map(secrets).collect())
    }

    /// What was given out, by access key.
    pub(super) fn issued(&self) -> Vec<Issued> {
        let issued = |session: &Session| session.issued.clone();
        self.0
            .with(|sessions| sessions.values().map(issued).collect())
    }
}

impl Session {
    fn new(wanted: Wanted, terms: Terms) -> Self {
        let role = wanted.role;
        let user_id = format!("{}:{}", role.id(), wanted.session_name);
        let issued = Issued {
            access_key_id: random::text("ASIA", random::BASE32, 20),
            action: terms.action,
            arn: role.session_arn(&wanted.session_name),
            role: role.arn,
            session_name: wanted.session_name,
            duration_seconds: wanted.duration.as_secs(),
            external_id: wanted.external_id,
            source_identity: wanted.source_identity,
            tags: wanted.tags,
            transitive_tag_keys: wanted.transitive_tag_keys,
            policy: wanted.policy,
            policy_arns: wanted.policy_arns,
            subject: terms.subject,
            issued: terms.now,
            expires: after(terms.now, terms.length),
        };
        Self {
            issued,
            account: role.account,
            user_id,
            secret: random::text("", random::BASE64, 40),
            token: random::text("IQoJ", random::BASE64, wanted.token_size.max(700)),
        }
    }
}
