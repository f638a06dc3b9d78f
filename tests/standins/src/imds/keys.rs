//! The keys of the node's role: what no pod may ever see. All of them carry the [`LEAK_MARK`].

use std::time::Duration;

use jiff::Timestamp;

use crate::{LEAK_MARK, clock::after, random, shared::Shared};

/// Keys as the metadata service gives them out.
#[derive(Clone)]
pub(super) struct NodeKeys {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) token: String,
    pub(super) issued: Timestamp,
    pub(super) expires: Timestamp,
}

impl NodeKeys {
    fn new(now: Timestamp, lifetime: Duration) -> Self {
        Self {
            access_key_id: random::text(LEAK_MARK, random::BASE32, 20),
            secret_access_key: random::text(LEAK_MARK, random::BASE64, 40),
            token: random::text(&format!("IQoJ{LEAK_MARK}"), random::BASE64, 800),
            issued: now,
            expires: after(now, lifetime),
        }
    }
}

/// The current keys. New ones come at half of their life, long before the five minutes that AWS promises.
pub(super) struct Rotation {
    lifetime: Duration,
    current: Shared<Option<NodeKeys>>,
}

impl Rotation {
    pub(super) const fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            current: Shared::new(None),
        }
    }

    pub(super) fn at(&self, now: Timestamp) -> NodeKeys {
        self.current.with(|current| {
            let fresh = current
                .take()
                .filter(|keys| now < after(keys.issued, self.lifetime / 2));
            let keys = fresh.unwrap_or_else(|| NodeKeys::new(now, self.lifetime));
            current.insert(keys).clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_keys_carries_the_mark() {
        let keys = NodeKeys::new(Timestamp::UNIX_EPOCH, Duration::from_hours(6));
        assert!(keys.access_key_id.starts_with(LEAK_MARK) && keys.access_key_id.len() == 20);
        assert!(keys.secret_access_key.starts_with(LEAK_MARK));
        assert!(keys.token.contains(LEAK_MARK));
    }

    #[test]
    fn keys_stay_for_half_of_their_life() {
        let rotation = Rotation::new(Duration::from_hours(6));
        let at = |hours| {
            let now = after(Timestamp::UNIX_EPOCH, Duration::from_hours(hours));
            rotation.at(now)
        };
        let first = at(0);
        assert_eq!(at(2).access_key_id, first.access_key_id);
        let second = at(3);
        assert_ne!(second.access_key_id, first.access_key_id);
        assert_eq!(
            second.expires,
            after(Timestamp::UNIX_EPOCH, Duration::from_hours(9))
        );
    }
}
