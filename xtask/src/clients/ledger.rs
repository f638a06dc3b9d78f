//! What STS has on record of a role: the sessions that it gave for it, and the requests that were signed with them.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bpf2iam_support::stage::Stage;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// What every client asks.
const QUESTION: &str = "GetCallerIdentity";
const GRANTED: &str = "granted";

/// The records of the stand-in for STS.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    calls: Vec<Call>,
    issued: Vec<Issued>,
}

#[derive(Clone, Debug, Deserialize)]
struct Call {
    at: Timestamp,
    action: String,
    signed_by: Option<String>,
    outcome: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Issued {
    access_key_id: String,
    role: String,
    expires: Timestamp,
}

/// Those of one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// How many sessions were given.
    pub(super) sessions: usize,
    /// How many requests were signed with their keys.
    pub(super) requests: usize,
    /// How many of these STS refused.
    pub(super) refused: usize,
    /// With how many keys they were signed.
    pub(super) keys: usize,
    /// How long the keys were still good when a request was signed with them for the first time: just then the
    /// client had got them.
    pub(super) least_when_new: Option<SignedDuration>,
    /// How long the keys were still good when a request was signed with them.
    pub(super) least: Option<SignedDuration>,
    /// How many requests came when the keys of the first one had ended.
    pub(super) beyond: usize,
}

impl Ledger {
    /// As they are now.
    pub(super) fn read(stage: &Stage) -> Result<Self> {
        let read = |path| stage.ask_sts(path).context("the records of STS");
        Ok(Self {
            calls: serde_json::from_value(read("/calls")?)?,
            issued: serde_json::from_value(read("/issued")?)?,
        })
    }

    /// Of the role with this ARN.
    pub(super) fn account(&self, role: &str) -> Account {
        let sessions = self.issued.iter().filter(|issued| issued.role == role);
        let ends: HashMap<_, _> = sessions
            .map(|issued| (&*issued.access_key_id, issued.expires))
            .collect();
        let mut account = Account {
            sessions: ends.len(),
            ..Account::default()
        };
        let mut seen = HashMap::new();
        let mut first_end = None;
        for call in self.calls.iter().filter(|call| call.action == QUESTION) {
            let Some((key, end)) = call
                .signed_by
                .as_deref()
                .and_then(|key| ends.get_key_value(key))
            else {
                continue;
            };
            let left = end.duration_since(call.at);
            account.beyond += usize::from(call.at >= *first_end.get_or_insert(*end));
            seen.entry(*key).or_insert(left);
            account.requests += 1;
            account.refused += usize::from(call.outcome != GRANTED);
            account.least = Some(account.least.map_or(left, |least| least.min(left)));
        }
        account.keys = seen.len();
        account.least_when_new = seen.into_values().min();
        account
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ledger(calls: Value) -> Ledger {
        let issued = json!([
            {"access_key_id": "A", "role": "r", "expires": "2026-01-01T01:00:00Z"},
            {"access_key_id": "B", "role": "r", "expires": "2026-01-01T02:00:00Z"},
            {"access_key_id": "C", "role": "other", "expires": "2026-01-01T00:00:00Z"},
        ]);
        Ledger {
            calls: serde_json::from_value(calls).unwrap(),
            issued: serde_json::from_value(issued).unwrap(),
        }
    }

    fn call(at: &str, key: &str, outcome: impl Into<Value>) -> Value {
        json!({"at": format!("2026-01-01T{at}:00Z"), "action": QUESTION, "signed_by": key, "outcome": outcome.into()})
    }

    #[test]
    fn only_requests_with_keys_of_the_role_count() {
        let assume = json!({"at": "2026-01-01T00:00:00Z", "action": "AssumeRole", "signed_by": "A", "outcome": GRANTED});
        let node = call("00:00", "AKIDNODE", GRANTED);
        let calls = json!([assume, node, call("00:00", "C", GRANTED)]);
        let expected = Account {
            sessions: 2,
            ..Account::default()
        };
        assert_eq!(ledger(calls).account("r"), expected);
    }

    #[test]
    fn a_key_counts_once_and_its_life_when_it_is_new_and_whenever_it_is_used() {
        let expired = json!({"refused": "ExpiredToken"});
        let account = ledger(json!([
            call("00:10", "A", GRANTED),
            call("00:50", "A", GRANTED),
            call("01:30", "B", GRANTED),
            call("01:01", "A", expired),
        ]))
        .account("r");
        let expected = Account {
            sessions: 2,
            requests: 4,
            refused: 1,
            keys: 2,
            least_when_new: Some(SignedDuration::from_mins(30)),
            least: Some(SignedDuration::from_mins(-1)),
            beyond: 2,
        };
        assert_eq!(account, expected);
    }
}
