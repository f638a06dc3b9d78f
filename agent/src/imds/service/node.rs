//! Pods that have the node's own identity: their requests are the real service's business.

use tokio::time;

use crate::{
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
        let passed = upstream.pass(asked.head, self.whose_session(asked));
        Some(match time::timeout_at(asked.deadline, passed).await {
            Ok(Ok(response)) => Answer::passed(response),
            Ok(Err(error)) => {
                seen.error = Some(error.to_string());
                Answer::refused(Outcome::Upstream)
            }
            Err(_late) => Answer::refused(Outcome::Upstream),
        })
    }

    /// Whose token it carries: until a pod is known it gets one of ours.
    fn whose_session(&self, asked: Asked<'_>) -> Session {
        match asked.route {
            Route::Read {
                token: Some(token), ..
            } if self
                .tokens
                .verify(asked.caller.pod, token, self.clock.now())
                .is_ok() =>
            {
                Session::Ours
            }
            Route::Read { .. } | Route::Token(_) | Route::Refused { .. } => Session::Theirs,
        }
    }
}
