//! How long sessions may be, as far as STS has said: what it refused once is not asked for with every renewal.
//!
//! Two things limit a session. One that the keys of a role assume lasts an hour at most, whatever its own role
//! allows: that is about the keys that we sign with, and so about every call that they sign. And each role has a
//! `MaxSessionDuration`. Both may change, so that after some hours one call asks again.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::id::RoleArn;

use super::super::{Identity, SessionLength};

/// So long a refusal is believed.
const BELIEVED: Duration = Duration::from_hours(6);

/// More roles than these are not remembered when no pod has them.
const MOST: usize = 1024;

/// What a session is too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// For a role that another role assumes.
    Chaining,
    /// For its role.
    Role,
}

/// Whether something was known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was not.
    New,
    /// It was.
    Known,
}

/// What STS has refused.
#[derive(Debug, Default)]
pub(super) struct Lengths(Mutex<HashMap<Subject, Bound>>);

/// What limits sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    OwnKeys,
    Role(RoleArn),
}

/// Sessions as long as this are refused.
#[derive(Clone, Copy, Debug)]
struct Bound {
    least: SessionLength,
    asked: Instant,
}

impl Lengths {
    /// How long a session to ask for: as `identity` wishes, or an hour where the wish is known to be refused.
    pub(super) fn of(&self, identity: &Identity) -> SessionLength {
        let (wish, now) = (identity.length, Instant::now());
        let mut bounds = self.bounds();
        let is_refused = Subject::all_of(identity).any(|subject| {
            let bound = bounds.get_mut(&subject);
            bound.is_some_and(|bound| bound.refuses(wish, now))
        });
        drop(bounds);
        if is_refused {
            SessionLength::HOUR
        } else {
            wish
        }
    }

    /// STS does not give `identity` a session of this `length`.
    pub(super) fn refuse(&self, limit: Limit, identity: &Identity, length: SessionLength) -> News {
        let bound = Bound {
            least: length,
            asked: Instant::now(),
        };
        match self.bounds().entry(Subject::of(limit, identity)) {
            Entry::Vacant(place) => {
                place.insert(bound);
                News::New
            }
            Entry::Occupied(mut known) => {
                let least = known.get().least.min(length);
                known.insert(Bound { least, ..bound });
                News::Known
            }
        }
    }

    /// STS has given `identity` a session of this `length`: what stood in its way does so no more.
    pub(super) fn grant(&self, identity: &Identity, length: SessionLength) {
        let mut bounds = self.bounds();
        for subject in Subject::all_of(identity) {
            if bounds.get(&subject).is_some_and(|it| it.least <= length) {
                bounds.remove(&subject);
            }
        }
    }

    /// Forgets all roles but these, and those that were asked about a while ago: the same pod may come again and again.
    pub(super) fn retain(&self, roles: &HashSet<&RoleArn>) {
        let (now, mut bounds) = (Instant::now(), self.bounds());
        let recent = |bound: &Bound| now.saturating_duration_since(bound.asked) < BELIEVED;
        let few = bounds.len() <= MOST;
        bounds.retain(|subject, bound| match subject {
            Subject::OwnKeys => true,
            Subject::Role(role) => roles.contains(role) || (few && recent(bound)),
        });
    }

    fn bounds(&self) -> MutexGuard<'_, HashMap<Subject, Bound>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subject {
    fn of(limit: Limit, identity: &Identity) -> Self {
        match limit {
            Limit::Chaining => Self::OwnKeys,
            Limit::Role => Self::Role(identity.role.clone()),
        }
    }

    /// Whatever limits the sessions of `identity`. A web identity is not assumed with our own keys.
    fn all_of(identity: &Identity) -> impl Iterator<Item = Self> {
        let chaining = identity.web_identity.is_none().then_some(Limit::Chaining);
        let limits = chaining.into_iter().chain([Limit::Role]);
        limits.map(|limit| Self::of(limit, identity))
    }
}

impl Bound {
    /// Whether a session of this length is refused. When it is long since STS was asked, whoever comes first asks.
    fn refuses(&mut self, length: SessionLength, now: Instant) -> bool {
        if length < self.least {
            return false;
        }
        if now.saturating_duration_since(self.asked) < BELIEVED {
            return true;
        }
        self.asked = now;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::creds::WebIdentity;

    use super::*;

    fn hours(hours: u64) -> SessionLength {
        SessionLength::from_secs(hours * 3600).unwrap()
    }

    /// A pod that wishes for a session of so many hours of a role.
    fn wish(role: &str, length: u64) -> Identity {
        let role = format!("arn:aws:iam::123456789012:role/{role}");
        Identity {
            length: hours(length),
            ..Identity::new(role.parse().unwrap(), "session")
        }
    }

    fn with_token(identity: Identity) -> Identity {
        let whose = WebIdentity {
            pod: "shop/cart-0".parse().unwrap(),
            uid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
            service_account: "cart".into(),
            audience: Arc::from("sts.amazonaws.com"),
            life: 86_400,
        };
        Identity {
            web_identity: Some(whose),
            ..identity
        }
    }

    /// What is asked for each identity, in hours.
    fn asked<const N: usize>(lengths: &Lengths, wishes: [Identity; N]) -> [u16; N] {
        wishes.map(|wish| lengths.of(&wish).as_secs() / 3600)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_known_at_first() {
        let lengths = Lengths::default();
        let wishes = [wish("a", 1), wish("a", 12), with_token(wish("a", 12))];
        assert_eq!(asked(&lengths, wishes), [1, 12, 12]);
    }

    #[tokio::test(start_paused = true)]
    async fn chaining_limits_every_role_that_our_own_keys_assume() {
        let lengths = Lengths::default();
        let news = lengths.refuse(Limit::Chaining, &wish("a", 2), hours(2));
        assert_eq!(news, News::New);
        let news = lengths.refuse(Limit::Chaining, &wish("b", 4), hours(4));
        assert_eq!(news, News::Known);
        let wishes = [wish("a", 2), wish("c", 12), with_token(wish("a", 12))];
        assert_eq!(asked(&lengths, wishes), [1, 1, 12]);
        lengths.retain(&HashSet::new());
        assert_eq!(asked(&lengths, [wish("a", 2)]), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_limits_its_own_sessions_to_what_it_has_not_refused() {
        let lengths = Lengths::default();
        let news = lengths.refuse(Limit::Role, &wish("a", 8), hours(8));
        assert_eq!(news, News::New);
        let other = lengths.refuse(Limit::Role, &wish("b", 8), hours(8));
        assert_eq!(other, News::New);
        let wishes = [wish("a", 12), wish("a", 8), wish("a", 4), wish("c", 12)];
        assert_eq!(asked(&lengths, wishes), [1, 1, 4, 12]);

        let news = lengths.refuse(Limit::Role, &with_token(wish("a", 4)), hours(4));
        assert_eq!(news, News::Known);
        lengths.refuse(Limit::Role, &wish("a", 12), hours(12));
        let wishes = [wish("a", 4), with_token(wish("a", 4)), wish("a", 2)];
        assert_eq!(asked(&lengths, wishes), [1, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_some_hours_one_of_many_asks_again() {
        let lengths = Lengths::default();
        lengths.refuse(Limit::Role, &wish("a", 8), hours(8));
        tokio::time::advance(BELIEVED / 2).await;
        assert_eq!(asked(&lengths, [wish("a", 8)]), [1]);
        tokio::time::advance(BELIEVED / 2).await;
        let wishes = [wish("a", 8), wish("a", 8), wish("a", 12)];
        assert_eq!(asked(&lengths, wishes), [8, 1, 1]);
        let news = lengths.refuse(Limit::Role, &wish("a", 8), hours(8));
        assert_eq!(news, News::Known, "it is not warned of again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_granted_after_all_is_asked_for_from_then_on() {
        let lengths = Lengths::default();
        lengths.refuse(Limit::Role, &wish("a", 8), hours(8));
        lengths.refuse(Limit::Chaining, &wish("a", 8), hours(8));
        lengths.grant(&wish("a", 8), hours(1));
        assert_eq!(
            asked(&lengths, [wish("a", 8)]),
            [1],
            "an hour tells nothing"
        );
        lengths.grant(&with_token(wish("a", 8)), hours(8));
        assert_eq!(
            asked(&lengths, [wish("a", 8)]),
            [1],
            "our own keys are still a role's"
        );
        assert_eq!(asked(&lengths, [with_token(wish("a", 8))]), [8]);
        lengths.grant(&wish("a", 8), hours(8));
        assert_eq!(asked(&lengths, [wish("a", 8)]), [8]);
    }

    #[tokio::test(start_paused = true)]
    async fn roles_that_nobody_wants_are_forgotten_after_a_while() {
        let lengths = Lengths::default();
        let (kept, gone) = (wish("kept", 8), wish("gone", 8));
        for identity in [&kept, &gone] {
            lengths.refuse(Limit::Role, identity, hours(8));
        }
        lengths.retain(&HashSet::new());
        assert_eq!(lengths.bounds().len(), 2, "their pods may come again");
        tokio::time::advance(BELIEVED).await;
        lengths.retain(&HashSet::from([&kept.role]));
        assert_eq!(lengths.bounds().len(), 1);
        lengths.refuse(Limit::Role, &kept, hours(8));
        assert_eq!(asked(&lengths, [kept, gone]), [1, 8]);
    }
}
