//! Recognises the connection that the agent itself makes to see that its whole way works: it comes from a cgroup that
//! somebody waits for.

use tokio::sync::watch;

use crate::id::CgroupId;

/// Whose connection is waited for, and whether it came.
#[derive(Clone, Debug, Default)]
pub struct Own(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Nobody,
    Awaited(CgroupId),
    Seen(CgroupId),
}

impl Own {
    /// From now on a connection from `cgroup` is waited for, and from no other.
    pub fn expect(&self, cgroup: CgroupId) {
        self.0.send_replace(State::Awaited(cgroup));
    }

    /// Returns when that connection was attested.
    pub async fn seen(&self, cgroup: CgroupId) {
        let mut state = self.0.subscribe();
        // It cannot fail: `self` holds the sender.
        let seen = state.wait_for(|state| *state == State::Seen(cgroup)).await;
        let _seen = seen.is_ok();
    }

    /// A connection from `cgroup` was redirected here. Says whether it is the one that is waited for.
    pub(super) fn recognise(&self, cgroup: CgroupId) -> bool {
        // Nearly always it is not, and then nobody is kept waiting.
        if *self.0.borrow() != State::Awaited(cgroup) {
            return false;
        }
        self.0.send_if_modified(|state| {
            let awaited = *state == State::Awaited(cgroup);
            if awaited {
                *state = State::Seen(cgroup);
            }
            awaited
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: CgroupId = CgroupId::new(7);
    const OTHER: CgroupId = CgroupId::new(8);

    #[test]
    fn nobody_is_recognised_who_is_not_waited_for() {
        let own = Own::default();
        assert!(!own.recognise(OURS));
        own.expect(OURS);
        assert!(!own.recognise(OTHER));
        assert!(own.recognise(OURS));
        assert!(!own.recognise(OURS), "it is one connection");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_seen_when_it_was_recognised() {
        let own = Own::default();
        own.expect(OURS);
        let soon = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, own.seen(OURS)).await.is_err());
        assert!(own.recognise(OURS));
        assert!(tokio::time::timeout(soon, own.seen(OURS)).await.is_ok());
    }
}
