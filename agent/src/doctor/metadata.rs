//! Whether the node's metadata service answers the agent. A token is asked for, as the agent does, and thrown away.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode, header::DATE};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{
    chain::chain,
    clock::Clock,
    config::MetadataAddr,
    creds::sts,
    upstream::{
        Failure,
        ask::{self, TOKEN_PATH},
        http::{self, Bounds},
    },
};

use super::{Check, Finding, bounded};

/// The service answers within a millisecond, unless it is overloaded.
const ANSWER: Duration = Duration::from_secs(3);
/// The answer has some fifty bytes.
const LONGEST: usize = 16 << 10;
/// So long would the token live.
const LIFE: Duration = Duration::from_secs(1);
/// How its options are changed on EC2.
const OPTIONS: &str =
    "aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled";

/// What came of a look at the service.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Where it is, or why there is none.
    addr: Result<MetadataAddr, &'static str>,
    answer: Result<Answer, String>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    status: StatusCode,
    ahead: Option<SignedDuration>,
}

impl Facts {
    /// How far our clock is ahead of the service's, if that says the time.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        self.answer.as_ref().ok()?.ahead
    }
}

pub(super) fn gather(addr: Result<MetadataAddr, &'static str>) -> Facts {
    let answer = match &addr {
        Ok(addr) => bounded::wait(ask(addr)).map_err(|error| chain(&error)),
        Err(why) => Err((*why).to_owned()),
    };
    Facts { addr, answer }
}

async fn ask(addr: &MetadataAddr) -> Result<Answer, Failure> {
    let question = ask::for_a_token(addr, LIFE)?;
    let bounds = Bounds {
        connect: ANSWER,
        end: Instant::now() + ANSWER,
        size: LONGEST,
    };
    let answer = http::send(addr, &TOKEN_PATH.into(), question, bounds).await?;
    Ok(Answer {
        status: answer.status(),
        ahead: ahead(&answer),
    })
}

fn ahead(answer: &Response<Bytes>) -> Option<SignedDuration> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    sts::ahead(date, Clock::system().now())
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let addr = match &facts.addr {
        Ok(addr) => addr,
        Err(why) => {
            let what = format!("not asked: {why}");
            return vec![Finding::ok(Check::Metadata, what)];
        }
    };
    vec![match &facts.answer {
        Ok(answer) => of(addr, answer.status),
        Err(error) => {
            let what = format!("the metadata service at {addr} does not answer: {error}");
            let fix = format!(
                "on EC2: {OPTIONS}; where there is none, give the agent --metadata-addr off"
            );
            Finding::problem(Check::Metadata, what, fix)
        }
    }]
}

fn of(addr: &MetadataAddr, status: StatusCode) -> Finding {
    let what = format!("the metadata service at {addr} answers");
    match status {
        StatusCode::OK => Finding::ok(Check::Metadata, what),
        // Older ones have no tokens.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Finding::ok(
            Check::Metadata,
            format!("{what}; it has no tokens (IMDSv1)"),
        ),
        StatusCode::FORBIDDEN => {
            let what = format!("{what} that it is switched off (status 403)");
            Finding::problem(Check::Metadata, what, OPTIONS)
        }
        status => {
            let what = format!("{what} with status {status} when it is asked for a token");
            let fix = format!(
                "curl -i -X PUT {addr}{TOKEN_PATH} -H 'X-aws-ec2-metadata-token-ttl-seconds: 1'"
            );
            Finding::warning(Check::Metadata, what, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn the_service_must_answer_unless_there_is_none() {
        let status = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            let ahead = None;
            Ok(Answer { status, ahead })
        };
        let addr = || Ok("127.0.0.1:9".parse().unwrap());
        for (addr, answer, verdict, says) in [
            (
                Err("it is off"),
                Err("it is off".to_owned()),
                Verdict::Ok,
                "not asked: it is off",
            ),
            (
                addr(),
                status(200),
                Verdict::Ok,
                "http://127.0.0.1:9 answers",
            ),
            (addr(), status(404), Verdict::Ok, "IMDSv1"),
            (addr(), status(405), Verdict::Ok, "IMDSv1"),
            (addr(), status(403), Verdict::Problem, "switched off"),
            (addr(), status(500), Verdict::Warning, "with status 500"),
            (
                addr(),
                Err("cannot connect".to_owned()),
                Verdict::Problem,
                "does not answer: cannot connect",
            ),
        ] {
            let found = judge(&Facts { addr, answer });
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }
}
