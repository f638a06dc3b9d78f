//! The agent's schedule and pace on all nodes of a large cluster at once, in simulated time, against one STS.
//!
//! It calls the agent's own functions in the order in which the agent does; everything around them is a model, whose
//! assumptions are constants beside their use. The same seed gives the same result. It ends with 1 if a goal is missed.

mod agenda;
mod bucket;
mod chance;
mod cluster;
mod keeper;
mod node;
mod rates;
mod report;
mod scenario;
mod sts;
mod tally;
mod waits;

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use self::{
    cluster::Size,
    report::Report,
    scenario::Scale,
    sts::{Outage, Sts},
};

#[derive(Parser)]
#[command(about = "The agent's schedule and pace in a large cluster, in simulated time")]
struct Args {
    /// What to simulate [default: all of it]
    what: Vec<What>,
    #[command(flatten)]
    setting: Setting,
}

/// What a scenario is set up with.
#[derive(clap::Args, Clone, Debug)]
struct Setting {
    /// How many nodes there are
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// How many identities each node has
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    identities: u32,
    /// How many calls STS takes in a second
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    sts_rate: u32,
    /// How many calls it takes at once after a rest
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    sts_burst: u32,
    /// How many pods come in a second while agents restart, in the whole cluster
    #[arg(long, default_value_t = 50.0)]
    new_pods_per_second: f64,
    /// How many of a hundred pods are replaced in an hour of steady life
    #[arg(long, default_value_t = 2.0)]
    replaced_per_hour: f64,
    /// How many hours of steady life there are
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1000))]
    hours: u32,
    /// What everything follows from that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// All agents restart in the same second
    Storm,
    /// The hours after that
    Day,
    /// The storm in a cluster that is twice as large
    Twice,
    /// STS is gone for 29 minutes
    Outage,
}

fn main() -> Result<ExitCode> {
    let Args { what, setting } = Args::parse();
    let wants = |one| what.is_empty() || what.contains(&one);
    writeln!(io::stdout(), "{setting}\n")?;
    let mut missed = false;
    let mut say = |report: &Report| {
        missed |= !report.holds();
        writeln!(io::stdout(), "{report}")
    };
    if wants(What::Storm) || wants(What::Day) {
        let (mut cluster, report) = scenario::storm(&setting, Scale::Goal)?;
        say(&report)?;
        if wants(What::Day) {
            say(&scenario::day(&setting, &mut cluster))?;
        }
    }
    if wants(What::Twice) {
        say(&scenario::storm(&setting, Scale::Twice)?.1)?;
    }
    if wants(What::Outage) {
        for outage in [Outage::Silent, Outage::Refused] {
            say(&scenario::outage(&setting, outage)?)?;
        }
    }
    Ok(if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Setting {
    fn size(&self) -> Size {
        Size {
            nodes: self.nodes,
            identities: self.identities,
        }
    }

    fn sts(&self) -> Sts {
        Sts::new(self.sts_rate, self.sts_burst)
    }

    /// How many pods come in a second of steady life.
    fn replaced_per_second(&self) -> f64 {
        let part = self.replaced_per_hour / 100.0;
        f64::from(self.size().identities()) * part / 3600.0
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            nodes,
            identities,
            sts_rate,
            sts_burst,
            seed,
            ..
        } = self;
        write!(
            f,
            "{nodes} nodes x {identities} identities; STS takes {sts_rate} calls a second, {sts_burst} at once; seed {seed}"
        )
    }
}
