//! Whether a day was as it has to be.

use std::ops::RangeInclusive;

use jiff::SignedDuration;

use crate::clients::ledger::Account;

use super::actor::Said;

/// In whatever pods are given, while STS works. boto3 complains below 20 minutes at most.
const LEAST: SignedDuration = SignedDuration::from_mins(25);
/// How often STS may be asked for a role in a day: sessions of one hour, of which each is used for about half.
const SESSIONS: RangeInclusive<usize> = 40..=60;
/// With how many keys a client must have signed, for all of this to show anything.
const KEYS: usize = 20;

/// What the agent's lines have that somebody should look at.
const TROUBLE: [&str; 2] = [r#""level":"WARN""#, r#""level":"ERROR""#];

/// A day of `requests` requests, on which nobody may notice anything.
pub(super) fn quiet(said: &Said, account: &Account, requests: usize) -> Result<String, String> {
    let first = |lines: &[String]| lines.first().cloned().unwrap_or_default();
    let (new, used) = (least(account.least_when_new), least(account.least));
    let complaint = said.complaints.first().unwrap_or_default();
    for (is_wrong, wrong) in [
        (
            !said.failures.is_empty(),
            format!("{} failed: {}", said.failures.len(), first(&said.failures)),
        ),
        (
            said.complaints.count() > 0,
            format!("complains {} times: {complaint}", said.complaints.count()),
        ),
        (
            account.requests != requests || account.refused > 0,
            format!(
                "STS got {} requests and refused {}",
                account.requests, account.refused
            ),
        ),
        (
            !SESSIONS.contains(&account.sessions),
            format!("STS was asked for {} sessions", account.sessions),
        ),
        (
            account.keys < KEYS,
            format!("only {} keys were used", account.keys),
        ),
        (
            new < LEAST,
            format!("was given keys that were good for {}", minutes(new)),
        ),
        (
            !used.is_positive(),
            format!("used keys that were good for {}", minutes(used)),
        ),
    ] {
        if is_wrong {
            return Err(wrong);
        }
    }
    Ok(format!(
        "no complaint in {requests} requests with {} keys of {} sessions; good for {} at least when new, {} when used",
        account.keys,
        account.sessions,
        minutes(new),
        minutes(used)
    ))
}

/// A day with keys that end too soon: if that is not in the log, nothing would be.
pub(super) fn loud(said: &Said) -> Result<String, String> {
    let early = said.complaints.of_early_ends();
    let first = early
        .first()
        .ok_or("does not complain of keys that end too soon")?;
    let words = first.rsplit(": ").next().unwrap_or_default();
    Ok(format!("complains {} times: {words}", early.count()))
}

/// What pods would have been given at any moment, by an agent that has printed these lines.
pub(super) fn agent(least: SignedDuration, lines: &[String]) -> Result<String, String> {
    let held = format!("what it held was good for {} at least", minutes(least));
    let is_trouble = |line: &&String| TROUBLE.iter().any(|level| line.contains(level));
    match lines.iter().find(is_trouble) {
        Some(line) => Err(format!("{held}; {line}")),
        None if least < LEAST => Err(held),
        None => Ok(format!("{held}, and it warns of nothing")),
    }
}

fn least(left: Option<SignedDuration>) -> SignedDuration {
    left.unwrap_or_default()
}

fn minutes(left: SignedDuration) -> String {
    format!("{:.1} min", left.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::day::log::Complaints;

    fn said(log: &str) -> Said {
        Said {
            failures: Vec::new(),
            complaints: Complaints::of(log),
        }
    }

    fn account() -> Account {
        Account {
            sessions: 51,
            requests: 10,
            refused: 0,
            keys: 20,
            least_when_new: Some(LEAST),
            least: Some(SignedDuration::from_mins(12)),
            beyond: 9,
        }
    }

    #[test]
    fn a_quiet_day_is_told_with_its_numbers() {
        let seen = quiet(&said("INFO nothing"), &account(), 10).unwrap();
        assert_eq!(
            seen,
            "no complaint in 10 requests with 20 keys of 51 sessions; good for 25.0 min at least when new, 12.0 min when used"
        );
    }

    #[test]
    fn every_fault_spoils_a_day() {
        let failed = Said {
            failures: vec!["7 failed: nobody".to_owned()],
            ..said("")
        };
        let with = |change: fn(&mut Account)| {
            let mut account = account();
            change(&mut account);
            account
        };
        for (said, account, complaint) in [
            (failed, account(), "1 failed: 7 failed"),
            (said("WARN x"), account(), "complains 1 times: WARN x"),
            (said(""), with(|account| account.requests = 9), "STS got 9"),
            (said(""), with(|account| account.refused = 1), "refused 1"),
            (said(""), with(|account| account.sessions = 39), "for 39 se"),
            (said(""), with(|account| account.sessions = 61), "for 61 se"),
            (said(""), with(|account| account.keys = 19), "only 19 keys"),
            (
                said(""),
                with(|account| account.least_when_new = Some(SignedDuration::from_mins(24))),
                "good for 24.0 min",
            ),
            (
                said(""),
                with(|account| account.least = Some(SignedDuration::ZERO)),
                "good for 0.0 min",
            ),
        ] {
            let error = quiet(&said, &account, 10).expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn a_loud_day_is_one_with_the_complaint_that_is_looked_for() {
        let text = "of a credential service availability issue.";
        let seen = loud(&said(&format!("WARN span: module: {text}")));
        assert_eq!(seen, Ok(format!("complains 1 times: {text}")));
        assert!(loud(&said("WARN of anything else")).is_err());
    }

    #[test]
    fn an_agent_with_too_little_or_with_a_warning_is_not_good() {
        let said = |level| [format!(r#"{{"level":"{level}","message":"x"}}"#)];
        assert!(agent(LEAST, &said("INFO")).is_ok());
        assert!(agent(LEAST - SignedDuration::from_secs(1), &said("INFO")).is_err());
        for level in ["WARN", "ERROR"] {
            assert!(agent(LEAST, &said(level)).is_err());
        }
    }
}
