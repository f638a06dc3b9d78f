//! The agent is upgraded, killed and removed while eight clients connect as fast as they can: what they get, for how long
//! they are refused; how soon an agent is ready on a full node, and how long the links take to change hands.

mod start;

use anyhow::Result;
use bpf2iam_support::{
    Options, Pod,
    moment::Moment,
    siege::{self, Killed, Outcome, Removed, Seen},
    stage::{Programs, Stage},
};

use crate::say;

use super::figure::{Figure, Series, Wanted};

/// How often what happens.
#[derive(Clone, Copy, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Lifetime: how often the agent is upgraded
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    upgrades: u32,
    /// Lifetime: how often it is killed
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Lifetime: how often it is removed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    removals: u32,
}

/// Nothing else is good enough, on any machine.
const NEVER: Wanted = Wanted::Exactly(0.0);

/// On a node of its own, so that there are no pods but those that are wanted.
pub(super) fn measure(programs: &Programs, args: Args) -> Result<Vec<Figure>> {
    let stage = Stage::set(programs.clone(), Options::default(), &[])?;
    let pod = stage.add_pod_with_role("cart", "cart")?;
    let mut figures = Vec::new();
    figures.extend(upgrades(&stage, &pod, args.upgrades)?);
    figures.extend(kills(&stage, &pod, args.kills)?);
    figures.extend(removals(&stage, &pod, args.removals)?);
    figures.extend(start::measure(&stage)?);
    Ok(figures)
}

fn upgrades(stage: &Stage, pod: &Pod, times: u32) -> Result<[Figure; 1]> {
    say::step(format!("{times} upgrades with overlap"));
    let seen = siege::upgrade(stage, pod, times)?;
    let failed = seen.total() - seen.count(Outcome::Own);
    Ok([count(
        "upgraded: requests that failed",
        failed,
        times,
        &seen,
    )])
}

fn kills(stage: &Stage, pod: &Pod, times: u32) -> Result<[Figure; 4]> {
    say::step(format!("killed and started again {times} times"));
    let idle = start::idle(stage)?;
    let (seen, all) = siege::kill(stage, pod, times)?;
    let untimely = |outcome, timely: fn(&Killed, &_) -> bool| {
        seen.among(outcome, |spell| !all.iter().any(|one| timely(one, spell)))
    };
    let odd = untimely(Outcome::Refused, Killed::covers)
        + untimely(Outcome::Cut, Killed::cuts)
        + seen.count(Outcome::Silence);
    let refused = Series::new(all.iter().map(|one| refused_for(&seen, one)));
    Ok([
        count(
            "killed: wrong answers",
            seen.count(Outcome::Wrong),
            times,
            &seen,
        ),
        count(
            "killed: answers of the real service",
            seen.count(Outcome::Node),
            times,
            &seen,
        ),
        count("killed: failures that are no refusals", odd, times, &seen),
        Figure {
            name: "killed: refused after the next one was started",
            value: refused.max(),
            unit: " ms",
            wanted: Wanted::AtMost(300.0),
            detail: format!(
                "median {:.0} ms, {:.2} x a whole start without clients ({idle:.0} ms)",
                refused.median(),
                refused.median() / idle
            ),
        },
    ])
}

/// For how long connects went on to be refused when the next agent had been started, in milliseconds.
fn refused_for(seen: &Seen, one: &Killed) -> f64 {
    let last = seen.last(Outcome::Refused, (one.started, one.served));
    last.map_or(0.0, |last| milliseconds(last, one.started))
}

fn removals(stage: &Stage, pod: &Pod, times: u32) -> Result<[Figure; 4]> {
    say::step(format!("removed and installed {times} times"));
    let (seen, all) = siege::remove(stage, pod, times)?;
    let outside = |outcome, inside: fn(&Removed, &_) -> bool| {
        seen.among(outcome, |spell| !all.iter().any(|one| inside(one, spell)))
    };
    let silent = all.iter().filter(|one| {
        let answer = seen.last(Outcome::Node, (one.gone, one.started));
        answer.is_none()
    });
    let silent = silent.count().try_into()?;
    let refused = outside(Outcome::Refused, Removed::ends);
    let early = outside(Outcome::Node, Removed::covers);
    let wrong = seen.count(Outcome::Wrong);
    Ok([
        count("removed: wrong answers", wrong, times, &seen),
        count(
            "removed: answers of the real service before",
            early,
            times,
            &seen,
        ),
        count("removed: refusals after", refused, times, &seen),
        count(
            "removed: times without an answer of the real service",
            silent,
            times,
            &seen,
        ),
    ])
}

fn count(name: &'static str, number: u64, times: u32, seen: &Seen) -> Figure {
    Figure {
        name,
        // So many that a number is not told exactly any more there cannot be.
        value: u32::try_from(number).map_or(f64::INFINITY, f64::from),
        unit: "",
        wanted: NEVER,
        detail: format!("{times} times; {}", seen.summary()),
    }
}

fn milliseconds(later: Moment, earlier: Moment) -> f64 {
    later.since(earlier).as_secs_f64() * 1000.0
}
