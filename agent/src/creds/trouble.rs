//! What the log says of fetches that fail, and of those that work again.
//!
//! The tasks of all identities report here. What fails for the same reason is one trouble, however many pods it has:
//! the log has a line when it begins, that says what is wrong, what becomes of the pods and what to look at; a line
//! when the first keys end; one from time to time while it lasts, with numbers; and one when it is over. All the rest
//! is for those who read everything. Nobody waits for it.

mod ledger;
mod topic;

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::time::Instant;
use tracing::field;

use super::{Identity, Lasting, SourceError};

use ledger::{End, Ledger, Line, Standing, Tally};
use topic::Topic;

/// Whether the pods of an identity have keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// They have, and these are valid.
    Keys,
    /// They have none.
    Nothing,
}

/// What the tasks of all identities report to.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Ledger>);

impl Troubles {
    /// An attempt for `identity` gave no keys; `held` is what its pods have.
    pub(super) fn failed(&self, identity: &Identity, error: &SourceError, held: Held) {
        let topic = Topic::of(identity, error);
        let standing = Standing { topic, held };
        let lines = self.ledger().failed(identity, standing, Instant::now());
        say(lines, identity, Some(error), held);
    }

    /// The keys of `identity` have ended, and there are no others yet; `error` is why the last attempt failed, if it did.
    pub(super) fn ended(&self, identity: &Identity, error: Option<&SourceError>) {
        let lines = self.ledger().ended(identity, Instant::now());
        say(lines, identity, error, Held::Nothing);
    }

    /// An attempt for `identity` gave keys.
    pub(super) fn worked(&self, identity: &Identity) {
        let line = self.ledger().left(identity, End::Works, Instant::now());
        say(line, identity, None, Held::Keys);
    }

    /// Nobody needs `identity` any more.
    pub(super) fn gone(&self, identity: &Identity) {
        let line = self.ledger().left(identity, End::Gone, Instant::now());
        say(line, identity, None, Held::Nothing);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says `lines`, which something brought about that happened to `identity`.
fn say(
    lines: impl IntoIterator<Item = Line>,
    identity: &Identity,
    error: Option<&SourceError>,
    held: Held,
) {
    let (role, session) = (&identity.role, &*identity.session_name);
    let pod = identity.web_identity.as_ref().map(|whose| &whose.pod);
    let pod = pod.map(field::display);
    let said = error.map(field::display);
    let next = next(error, held);
    for line in lines {
        match line {
            Line::Begins(topic) => {
                let advice = topic.advice();
                tracing::warn!(%role, session, pod, error = said, next, advice, "no new credentials");
            }
            Line::KeysEnd(topic, tally) => {
                let (advice, lasted) = (topic.advice(), spelled(tally));
                tracing::warn!(%role, session, pod, error = said, next, advice, lasted,
                    "the credentials end before there are new ones");
            }
            Line::Lasts(topic, tally) => {
                let (advice, lasted) = (topic.advice(), spelled(tally));
                let Tally {
                    identities,
                    without_keys,
                    ..
                } = tally;
                tracing::warn!(%role, session, pod, error = said, advice, lasted, identities, without_keys,
                    "still no new credentials");
            }
            Line::Unsaid => {
                tracing::debug!(%role, session, pod, error = said, next, "no new credentials");
            }
            Line::NoRoom(count) => {
                tracing::warn!(count, %role, session, error = said,
                    "credentials are refused for more reasons than there is room for in the log");
            }
            Line::Over(topic, end, tally) => over(&topic, end, tally),
        }
    }
}

fn over(topic: &Topic, end: End, tally: Tally) {
    let (role, identities, lasted) = (topic.role(), tally.identities, spelled(tally));
    let role = role.map(field::display);
    match end {
        End::Works => tracing::info!(role, identities, lasted, "STS gives credentials again"),
        End::Gone => {
            tracing::info!(
                role,
                identities,
                lasted,
                "nobody needs the credentials any more that STS did not give"
            );
        }
        End::Moved => {
            tracing::info!(
                role,
                identities,
                lasted,
                "there are no new credentials for another reason now"
            );
        }
    }
}

/// What becomes of the pods.
const fn next(error: Option<&SourceError>, held: Held) -> &'static str {
    let lasting = match error {
        Some(error) => error.lasting(),
        None => Lasting::AMoment,
    };
    match (held, lasting) {
        (Held::Keys, _) => "pods keep the keys they have until these end; it is tried again",
        (Held::Nothing, Lasting::AMoment) => "pods are told to come again (503); it is tried again",
        (Held::Nothing, Lasting::AWhile) => {
            "pods are told that they have no role (404); it is tried again, nothing need be restarted"
        }
        (Held::Nothing, Lasting::ForGood) => {
            "pods are told that they have no role (404); it is tried again when they ask for something else, or after hours"
        }
    }
}

/// How long it lasted, in whole seconds.
fn spelled(tally: Tally) -> String {
    let seconds = i64::try_from(tally.lasted.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
