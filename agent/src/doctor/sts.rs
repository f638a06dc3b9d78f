//! Whether STS can be reached from here, as the environment describes it. Nothing is signed, and no keys are looked up.

use jiff::SignedDuration;

use crate::{
    chain::chain,
    clock::Clock,
    creds::sts::{Answer, Look, Sts},
};

use super::{Check, Finding, bounded};

/// What came of a look at STS, or why there could be none.
#[derive(Clone, Debug)]
pub(super) struct Facts(Result<Look, String>);

impl Facts {
    /// How far our clock is ahead of that of STS, if that says the time.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        self.0.as_ref().ok()?.answer.as_ref().ok()?.ahead
    }
}

pub(super) fn gather() -> Facts {
    Facts(bounded::wait(async {
        let sts = Sts::from_env(Clock::system()).await;
        match sts {
            Ok(sts) => Ok(sts.look().await),
            Err(error) => Err(chain(&error)),
        }
    }))
}

pub(super) fn judge(Facts(facts): &Facts) -> Vec<Finding> {
    vec![match facts {
        Ok(look) => of(look),
        Err(error) => {
            let fix = "give the agent, and this command, the AWS_* variables of this node, such as AWS_REGION=eu-west-1";
            Finding::problem(Check::Sts, error, fix)
        }
    }]
}

fn of(look: &Look) -> Finding {
    let url = look.url.as_deref().unwrap_or("where it should be");
    match &look.answer {
        Ok(Answer { status, .. }) if *status >= 500 => Finding::warning(
            Check::Sts,
            format!("STS at {url} answers with status {status}"),
            format!("try again; to see it: curl -i {url}"),
        ),
        Ok(Answer { took, .. }) => {
            let what = format!("STS at {url} answers within {} ms", took.as_millis());
            Finding::ok(Check::Sts, what)
        }
        Err(error) => Finding::problem(
            Check::Sts,
            format!("STS at {url} cannot be reached: {error}"),
            format!(
                "let the node reach it (security group, route, VPC endpoint, proxy), or set AWS_ENDPOINT_URL_STS; to see \
                 it: curl -i {url}"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn whoever_answers_is_there() {
        let answer = |status| {
            Ok(Answer {
                status,
                ahead: None,
                took: Duration::from_millis(17),
            })
        };
        let look = |answer: Result<Answer, &str>| {
            Ok(Look {
                url: Some("https://sts.test/".to_owned()),
                answer: answer.map_err(ToOwned::to_owned),
            })
        };
        for (facts, verdict, says) in [
            (
                look(answer(302)),
                Verdict::Ok,
                "STS at https://sts.test/ answers within 17 ms",
            ),
            (look(answer(400)), Verdict::Ok, "answers within"),
            (look(answer(503)), Verdict::Warning, "status 503"),
            (
                look(Err("no route")),
                Verdict::Problem,
                "cannot be reached: no route",
            ),
            (
                Err("no AWS region is known".to_owned()),
                Verdict::Problem,
                "no AWS region",
            ),
        ] {
            let found = judge(&Facts(facts));
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }
}
