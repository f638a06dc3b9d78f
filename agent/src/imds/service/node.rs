//! Pods that have the node's own identity: their requests are the real service's business.

use tokio::time;

use crate::{
    chain::chain,
    imds::{instance::Instance, outcome::Outcome, response::Answer, route::Route},
    pods::{binding::Binding, resolve::Resolution},
    upstream::Session,
};

use super::{Asked, Seen, Service, Supply, own_address};

impl<S: Supply> Service<S> {
    /// Passes a request on, if it is of such a pod and there is a real service.
    pub(super) async fn pass(
        &self,
        asked: Asked<'_>,
        who: &Resolution,
        seen: &mut Seen,
    ) -> Option<Answer> {
        let (Resolution::Decided(subject, Binding::Node(_)), Instance::Real(upstream)) =
            (who, &self.instance)
        else {
            return None;
        };
        if let Err(why) = own_address(subject, asked.caller) {
            seen.error = Some(why);
            return Some(Answer::refused(Outcome::OtherAddress));
        }
        let left = self.left_of_ours(asked);
        seen.token = left.is_some();
        let session = match left {
            Some(_) => Session::Ours,
            None => Session::Theirs,
        };
        // Boxed, as few take this way: every request has room for what its own future may hold.
        let passed = Box::pin(upstream.pass(asked.head, session));
        Some(match time::timeout_at(asked.deadline, passed).await {
            Ok(Ok(response)) => Answer::passed(response).for_session(left),
            Ok(Err(error)) => {
                seen.error = Some(chain(&error));
                Answer::refused(Outcome::Upstream)
            }
            Err(_late) => Answer::refused(Outcome::Upstream),
        })
    }

    /// For how long the token that came still lives, if it is one of ours: until a pod is known it gets such a one.
    fn left_of_ours(&self, asked: Asked<'_>) -> Option<u16> {
        let Route::Read {
            token: Some(token), ..
        } = asked.route
        else {
            return None;
        };
        let left = self
            .tokens
            .verify(asked.caller.pod, token, self.clock.now());
        left.ok()
    }
}
