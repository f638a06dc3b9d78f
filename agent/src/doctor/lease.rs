//! Whether the programs trust the agent, and for how long.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use jiff::SignedDuration;

use crate::{
    chain::chain,
    redirect::{
        Pins, WhenGone,
        look::{self, Trust},
    },
};

use super::{
    Check, Finding,
    remedy::{LOGS, RESTART, more_rights},
};

/// An agent renews its lease once a second, or more often.
const WATCH: Duration = Duration::from_secs(3);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The lease.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Whether anything is pinned, or why that cannot be told.
    pinned: Result<bool, String>,
    trust: Result<Trust, String>,
    /// Whether we may not look.
    denied: bool,
    /// Whether it was renewed while we looked.
    renewed: bool,
    /// Where the agent listens, if one answers.
    listeners: Option<Vec<SocketAddr>>,
}

pub(super) fn gather(pin_dir: &Path, listeners: Option<Vec<SocketAddr>>) -> Facts {
    let pins = Pins::at(pin_dir);
    let first = look::trust(&pins);
    let last = match &first {
        Ok(first) => renewal(&pins, first),
        Err(_) => None,
    };
    let renewed = last.is_some();
    Facts {
        pinned: pins.dir().try_exists().map_err(|error| {
            let dir = pins.dir().display();
            format!("cannot look at {dir}: {error}")
        }),
        denied: first.as_ref().is_err_and(look::is_denied),
        trust: last.map_or(first, Ok).map_err(|error| chain(&error)),
        renewed,
        listeners,
    }
}

impl Facts {
    /// Where an agent listens that renews the lease.
    pub(super) fn into_proxies(self) -> Option<Vec<SocketAddr>> {
        let trust = self.trust.ok().filter(|_| self.renewed);
        trust.map(|trust| trust.proxies)
    }
}

/// Whether somebody renews the lease of what is pinned there.
pub(super) fn is_renewed(pin_dir: &Path) -> bool {
    let pins = Pins::at(pin_dir);
    let first = look::trust(&pins);
    first.is_ok_and(|first| renewal(&pins, &first).is_some())
}

/// Waits until the lease is renewed: then it ends later than the one that was seen first, just before.
fn renewal(pins: &Pins, first: &Trust) -> Option<Trust> {
    let start = Instant::now();
    while start.elapsed() < WATCH {
        thread::sleep(PAUSE);
        // Before the look: whatever holds us up, more has passed than we think, and it only seems to end sooner.
        let passed = start.elapsed();
        let next = look::trust(pins).ok()?;
        if ends_later(first, &next, passed) {
            return Some(next);
        }
    }
    None
}

/// What was left at the first look may be all of it, so that there is never more.
fn ends_later(first: &Trust, next: &Trust, passed: Duration) -> bool {
    let passed = SignedDuration::try_from(passed).unwrap_or_default();
    next.left.saturating_add(passed) > first.left
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    vec![match (&facts.pinned, &facts.trust) {
        (Err(error), _) => Finding::warning(Check::Lease, error, more_rights()),
        (Ok(false), _) => Finding::warning(
            Check::Lease,
            "there is none: nothing of this version is pinned",
            "see above: programs",
        ),
        (Ok(true), Err(error)) if facts.denied => {
            Finding::warning(Check::Lease, error, more_rights())
        }
        (Ok(true), Err(error)) => Finding::problem(Check::Lease, error, RESTART),
        (Ok(true), Ok(trust)) => of(trust, facts),
    }]
}

fn of(trust: &Trust, facts: &Facts) -> Finding {
    if trust.proxies.is_empty() {
        let what = "no agent has told the programs where it listens: connects to the metadata address are refused";
        return Finding::problem(Check::Lease, what, RESTART);
    }
    let left = trust.left.abs().as_millis();
    let seconds = format!("{}.{} s", left / 1000, left % 1000 / 100);
    if !trust.left.is_positive() {
        let what = match trust.when_gone {
            WhenGone::Deny => "are refused",
            WhenGone::Allow => "reach the real service, with the node's role",
        };
        let what =
            format!("the lease ended {seconds} ago: connects to the metadata address {what}");
        return Finding::problem(Check::Lease, what, RESTART);
    }
    let proxies = list(&trust.proxies);
    if !facts.renewed {
        let what =
            format!("nobody renews the lease, which ends in {seconds}; connects go to {proxies}");
        return Finding::warning(Check::Lease, what, RESTART);
    }
    if let Some(listeners) = &facts.listeners
        && !trust.proxies.iter().all(|proxy| listeners.contains(proxy))
    {
        let what = format!(
            "connects go to {proxies}, but the agent that answers listens at {}: another one serves",
            list(listeners)
        );
        return Finding::warning(Check::Lease, what, LOGS);
    }
    let what = format!(
        "it was renewed a moment ago, and would end in {seconds}; connects go to {proxies}"
    );
    Finding::ok(Check::Lease, what)
}

fn list(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A lease that ends so much later.
    fn ends_in(milliseconds: i64, when_gone: WhenGone) -> Facts {
        let trust = Trust {
            left: SignedDuration::from_millis(milliseconds),
            when_gone,
            proxies: vec![address("10.0.0.1:8181")],
        };
        Facts {
            pinned: Ok(true),
            trust: Ok(trust),
            denied: false,
            renewed: false,
            listeners: None,
        }
    }

    fn renewed(listeners: &[&str]) -> Facts {
        let listeners = listeners.iter().copied().map(address).collect();
        Facts {
            renewed: true,
            listeners: Some(listeners),
            ..ends_in(9940, WhenGone::Deny)
        }
    }

    #[track_caller]
    fn assert_found(facts: &Facts, verdict: Verdict, says: &str) {
        let found = judge(facts);
        assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
        assert!(found[0].what.contains(says), "{found:?}");
    }

    #[test]
    fn a_lease_must_be_renewed_by_the_agent_that_answers() {
        use Verdict::{Ok, Problem, Warning};
        use WhenGone::{Allow, Deny};
        let nobody = Facts {
            listeners: None,
            ..renewed(&[])
        };
        for (facts, verdict, says) in [
            (
                renewed(&["[::1]:8181", "10.0.0.1:8181"]),
                Ok,
                "would end in 9.9 s; connects go to 10.0.0.1:8181",
            ),
            (nobody, Ok, "renewed a moment ago"),
            (
                renewed(&["10.0.0.1:9"]),
                Warning,
                "listens at 10.0.0.1:9: another one",
            ),
            (
                ends_in(1, Deny),
                Warning,
                "nobody renews the lease, which ends in 0.0 s",
            ),
            (ends_in(0, Deny), Problem, "ended 0.0 s ago"),
            (ends_in(-2500, Deny), Problem, "address are refused"),
            (ends_in(-2500, Allow), Problem, "with the node's role"),
        ] {
            assert_found(&facts, verdict, says);
        }
    }

    #[test]
    fn a_lease_that_was_new_when_it_was_seen_first_is_seen_to_be_renewed() {
        let trust = |milliseconds| ends_in(milliseconds, WhenGone::Deny).trust.unwrap();
        let passed = Duration::from_millis(1050);
        for (left, renewed) in [(9950, true), (10_000, true), (8950, false), (8940, false)] {
            let later = ends_later(&trust(10_000), &trust(left), passed);
            assert_eq!(later, renewed, "{left}");
        }
    }

    #[test]
    fn programs_that_nobody_told_anything_trust_nobody() {
        let mut untold = renewed(&["10.0.0.1:8181"]);
        let trust = untold.trust.as_mut().unwrap();
        trust.proxies.clear();
        assert_found(&untold, Verdict::Problem, "no agent has told");
        let unreadable = |pinned| Facts {
            pinned: Ok(pinned),
            trust: Err("cannot use the map".to_owned()),
            ..ends_in(0, WhenGone::Deny)
        };
        assert_found(&unreadable(true), Verdict::Problem, "cannot use the map");
        let denied = Facts {
            denied: true,
            ..unreadable(true)
        };
        assert_found(&denied, Verdict::Warning, "cannot use the map");
        assert_found(
            &unreadable(false),
            Verdict::Warning,
            "nothing of this version",
        );
        let hidden = Facts {
            pinned: Err("cannot look at /p/1: denied".to_owned()),
            ..unreadable(false)
        };
        assert_found(&hidden, Verdict::Warning, "cannot look at /p/1");
    }
}
