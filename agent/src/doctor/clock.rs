//! Whether this node's clock is right, by what others say the time is.

use jiff::SignedDuration;

use crate::creds::sts::TOLERATED;

use super::{Check, Finding};

/// AWS refuses signatures that are older, or further ahead.
const REFUSED: SignedDuration = SignedDuration::from_mins(5);
/// How a clock is set, and kept right.
const FIX: &str = "timedatectl set-ntp true";

/// How far our clock is ahead of another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    whose: &'static str,
    by: SignedDuration,
}

impl Ahead {
    pub(super) const fn of_sts(by: SignedDuration) -> Self {
        Self { whose: "STS", by }
    }

    pub(super) const fn of_metadata(by: SignedDuration) -> Self {
        let whose = "the metadata service";
        Self { whose, by }
    }
}

/// What others say of our clock, if anybody does.
pub(super) struct Facts(pub(super) Option<Ahead>);

pub(super) fn judge(Facts(facts): &Facts) -> Vec<Finding> {
    let Some(Ahead { whose, by }) = facts else {
        let what = "whether it is right cannot be told: nobody has said what time it is";
        return vec![Finding::warning(
            Check::Clock,
            what,
            "see above: metadata, sts",
        )];
    };
    let off = by.abs();
    let side = if by.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let what = format!(
        "this node's clock is {} s {side} that of {whose}",
        off.as_secs()
    );
    vec![if off > REFUSED {
        let what = format!("{what}: AWS refuses what is signed with it");
        Finding::problem(Check::Clock, what, FIX)
    } else if off > TOLERATED {
        Finding::warning(Check::Clock, what, FIX)
    } else {
        let what = format!("this node's clock agrees with that of {whose}");
        Finding::ok(Check::Clock, what)
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_clock_may_be_off_a_little() {
        let sts = |seconds| Some(Ahead::of_sts(SignedDuration::from_secs(seconds)));
        let metadata = Ahead::of_metadata(SignedDuration::from_secs(-61));
        for (facts, verdict, says) in [
            (sts(0), Verdict::Ok, "agrees with that of STS"),
            (sts(60), Verdict::Ok, "agrees"),
            (sts(-60), Verdict::Ok, "agrees"),
            (sts(61), Verdict::Warning, "is 61 s ahead of that of STS"),
            (
                Some(metadata),
                Verdict::Warning,
                "is 61 s behind that of the metadata service",
            ),
            (sts(300), Verdict::Warning, "300 s"),
            (sts(301), Verdict::Problem, "AWS refuses"),
            (sts(-86_400), Verdict::Problem, "86400 s behind"),
            (None, Verdict::Warning, "cannot be told"),
        ] {
            let found = judge(&Facts(facts));
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }
}
