//! What the agent's log says of the requests of a pod: what was asked, in which order, with a token or without, and
//! how long the answer took.

use std::{
    thread,
    time::{Duration, Instant},
};

use bpf2iam_support::{Pod, stage::Agent};
use jiff::Timestamp;
use serde::Deserialize;

/// What the agent calls the record of a request.
const RECORD: &str = "request";
/// How long it may take until what was answered is in the log.
const LATE: Duration = Duration::from_secs(3);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

const TOKEN: &str = "token";
const LIST: &str = "role_list";
const KEYS: &str = "role_credentials";
/// What stands for the rest of the tree.
const METADATA: &str = "metadata";

/// A request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Request {
    timestamp: Timestamp,
    uid: String,
    route: String,
    status: u16,
    /// Whether it showed a token, and a good one.
    token: bool,
    /// How long its answer took.
    seconds: f64,
}

/// The log from one moment on, as far as it is about one pod.
#[derive(Clone, Debug)]
pub(super) struct Access<'a> {
    agent: &'a Agent,
    uid: String,
    since: Timestamp,
}

impl<'a> Access<'a> {
    /// From now on.
    pub(super) fn of(agent: &'a Agent, pod: &Pod) -> Self {
        Self::since(Timestamp::now(), agent, pod)
    }

    /// From a moment on.
    pub(super) fn since(since: Timestamp, agent: &'a Agent, pod: &Pod) -> Self {
        Self {
            agent,
            uid: pod.uid().to_owned(),
            since,
        }
    }

    /// What `judge` makes of the requests. Their records may come a little later than their answers did.
    pub(super) fn judge(
        &self,
        judge: impl Fn(&[Request]) -> Result<String, String>,
    ) -> Result<String, String> {
        let deadline = Instant::now() + LATE;
        loop {
            let verdict = judge(&self.requests());
            if verdict.is_ok() || Instant::now() > deadline {
                return verdict;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        let records = self.agent.logged(RECORD).into_iter();
        let requests = records.filter_map(|record| serde_json::from_value::<Request>(record).ok());
        let own = |request: &Request| request.uid == self.uid && request.timestamp >= self.since;
        requests.filter(own).collect()
    }
}

/// Whether keys were asked for as IMDSv2 wants it.
pub(super) fn sequence(requests: &[Request]) -> Result<String, String> {
    let first = |route: &str| requests.iter().position(|request| request.route == route);
    let (token, list, keys) = (first(TOKEN), first(LIST), first(KEYS));
    if token.is_none() || token > list || list.is_none() || list > keys || keys.is_none() {
        return Err(format!("asked {}", shown(requests)));
    }
    let is_wrong = |request: &&Request| {
        let bare = request.route != TOKEN && !request.token;
        let refused = [TOKEN, LIST, KEYS].contains(&&*request.route) && request.status != 200;
        bare || refused
    };
    match requests.iter().find(is_wrong) {
        Some(wrong) => Err(format!("{} in {}", wrong.shown(), shown(requests))),
        None => Ok(shown(requests)),
    }
}

/// Whether anything was asked about the instance, and nothing in vain.
pub(super) fn about_instance(requests: &[Request]) -> Result<String, String> {
    let about = |request: &Request| request.route == METADATA && request.status == 200;
    if requests.iter().any(about) {
        Ok(shown(requests))
    } else {
        Err(format!("asked {}", shown(requests)))
    }
}

/// How long the slowest answer took.
pub(super) fn slowest(requests: &[Request]) -> Duration {
    let seconds = requests.iter().map(|request| request.seconds);
    Duration::from_secs_f64(seconds.fold(0.0, f64::max))
}

fn shown(requests: &[Request]) -> String {
    if requests.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<_> = requests.iter().map(Request::shown).collect();
    shown.join(", ")
}

impl Request {
    fn shown(&self) -> String {
        let Self { route, status, .. } = self;
        let bare = if self.token || route == TOKEN {
            ""
        } else {
            " without a token"
        };
        let status = if *status == 200 {
            String::new()
        } else {
            format!(" ({status})")
        };
        format!("{route}{bare}{status}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(route: &str) -> Request {
        Request {
            timestamp: Timestamp::UNIX_EPOCH,
            uid: "u".to_owned(),
            route: route.to_owned(),
            status: 200,
            token: route != TOKEN,
            seconds: 0.25,
        }
    }

    fn bare(route: &str) -> Request {
        Request {
            token: false,
            ..request(route)
        }
    }

    fn of_status(route: &str, status: u16) -> Request {
        Request {
            status,
            ..request(route)
        }
    }

    #[test]
    fn a_token_then_the_role_then_its_keys_is_the_sequence() {
        let all = [TOKEN, LIST, KEYS].map(request);
        assert_eq!(
            sequence(&all),
            Ok("token, role_list, role_credentials".to_owned())
        );
        let more = [TOKEN, METADATA, TOKEN, LIST, TOKEN, KEYS, METADATA].map(request);
        assert!(sequence(&more).is_ok());
    }

    #[test]
    fn anything_else_is_not() {
        for (requests, complaint) in [
            (vec![], "asked nothing"),
            (
                vec![request(TOKEN), request(LIST)],
                "asked token, role_list",
            ),
            (
                vec![request(LIST), request(KEYS)],
                "asked role_list, role_c",
            ),
            (vec![request(TOKEN), request(KEYS)], "asked token, role_c"),
            (
                vec![request(LIST), request(TOKEN), request(KEYS)],
                "asked role_list, token",
            ),
            (
                vec![request(TOKEN), request(KEYS), request(LIST)],
                "asked token, role_credentials",
            ),
            (
                vec![request(TOKEN), bare(LIST), request(KEYS)],
                "role_list without a token in",
            ),
            (
                vec![request(TOKEN), bare(METADATA), request(LIST), request(KEYS)],
                "metadata without a token in",
            ),
            (
                vec![
                    request(TOKEN),
                    of_status(LIST, 503),
                    request(LIST),
                    request(KEYS),
                ],
                "role_list (503) in",
            ),
        ] {
            let error = sequence(&requests).expect_err(complaint);
            assert!(error.starts_with(complaint), "{error}");
        }
    }

    #[test]
    fn what_is_denied_is_no_answer_about_the_instance() {
        let asked = [request(TOKEN), of_status(METADATA, 404)];
        assert_eq!(
            about_instance(&asked),
            Err("asked token, metadata (404)".to_owned())
        );
        assert!(about_instance(&[request(TOKEN), request(METADATA)]).is_ok());
    }

    #[test]
    fn the_slowest_answer_counts() {
        let mut late = request(LIST);
        late.seconds = 0.5;
        assert_eq!(
            slowest(&[request(TOKEN), late, request(KEYS)]),
            Duration::from_millis(500)
        );
        assert_eq!(slowest(&[]), Duration::ZERO);
    }
}
