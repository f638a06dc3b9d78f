//! A day in the life of a pod, in a minute or two: clients that run all day ask STS every minute, and nobody may
//! notice that keys end.
//!
//! Time is told to all programs, and moves on when all have done what was to be done. In a second, shorter day keys end
//! too soon. That has to be in the clients' logs: else the first day would show nothing.

use std::{path::Path, process, time::Duration};

use anyhow::Result;
use bpf2iam_support::{
    Options, Pod,
    process::wait_until_idle,
    stage::{Agent, BASE_ARN, Programs, Stage},
    told_time::ToldTime,
};
use jiff::Timestamp;

use crate::say;

use super::{client::Client, column::Column, kit::Kit, ledger::Ledger, table::Table};

mod actor;
mod log;
mod verdict;
mod witness;

use actor::{Actor, Part};
use witness::Witness;

/// How far time goes in a step.
const STEP: Duration = Duration::from_mins(1);
/// How long the programs may take to do what is to be done.
const BUSY: Duration = Duration::from_secs(10);

/// Who runs all day.
const PARTS: [Part; 3] = [
    Part {
        client: Client::Boto3,
        pod: "billing",
        role: "bill-writer",
    },
    Part {
        client: Client::Aiobotocore,
        pod: "shipping",
        role: "parcel-writer",
    },
    Part {
        client: Client::AwsConfig,
        pod: "search",
        role: "index-reader",
    },
];

/// Whether a client runs all day: its refreshes are shown there.
pub(super) fn has(client: Client) -> bool {
    PARTS.iter().any(|part| part.client == client)
}

/// A day.
#[derive(Clone, Copy, Debug)]
enum Day {
    /// Sessions of one hour.
    Quiet,
    /// Sessions of 20 minutes; and the clock of aws-config, which complains only of keys that have ended, is half an
    /// hour ahead.
    Loud,
}

impl Day {
    const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "a day",
            Self::Loud => "a loud day",
        }
    }

    const fn length(self) -> Duration {
        match self {
            Self::Quiet => Duration::from_hours(24),
            Self::Loud => Duration::from_hours(2),
        }
    }

    /// What STS is told.
    const fn sts(self) -> &'static [&'static str] {
        match self {
            Self::Quiet => &[],
            Self::Loud => &["--session-duration", "20m", "--max-skew", "1h"],
        }
    }

    /// How far the clock of a client is ahead of all others.
    const fn ahead(self, client: Client) -> Duration {
        match (self, client) {
            (Self::Loud, Client::AwsConfig) => Duration::from_mins(30),
            _ => Duration::ZERO,
        }
    }
}

/// Plays both days. What the time is stands in files in `directory`.
pub(super) fn play(
    programs: &Programs,
    kit: &Kit,
    directory: &Path,
    table: &mut Table,
) -> Result<()> {
    let tell = |name: &str| {
        let path = directory.join(format!("time-{}-{name}", process::id()));
        ToldTime::new(&programs.told_time, &path)
    };
    for day in [Day::Quiet, Day::Loud] {
        let hours = day.length().as_secs() / 3600;
        say::step(format!("{}: {hours} hours of refreshes", day.name()));
        let time = tell("node")?;
        let environment = time.environment();
        let options = Options::default();
        let stage = Stage::set_in(environment, programs.clone(), options, day.sts())?;
        let agent = stage.start_agent(&[])?;
        let pods = PARTS.map(|part| stage.add_pod_with_role(part.pod, part.role));
        agent.wait_for_keys()?;
        let mut scene = Scene {
            day,
            time,
            witness: Witness::new(&stage.runtime_dir()),
            clients: Vec::new(),
            stage: &stage,
            agent: &agent,
        };
        for (part, pod) in PARTS.into_iter().zip(pods) {
            scene.enter(kit, tell(part.pod)?, part, pod?)?;
        }
        scene.run()?;
        scene.end(table)?;
        agent.stop()?;
    }
    Ok(())
}

/// A day while it is played.
struct Scene<'a> {
    day: Day,
    stage: &'a Stage,
    agent: &'a Agent,
    time: ToldTime,
    witness: Witness,
    /// With the time that each has.
    clients: Vec<(Actor, ToldTime)>,
}

impl Scene<'_> {
    /// Lets a client begin.
    fn enter(&mut self, kit: &Kit, time: ToldTime, part: Part, pod: Pod) -> Result<()> {
        time.set(self.day.ahead(part.client))?;
        let actor = Actor::start(self.stage, kit, part, pod, &time)?;
        self.clients.push((actor, time));
        Ok(())
    }

    fn steps(&self) -> u32 {
        u32::try_from(self.day.length().as_secs() / STEP.as_secs()).unwrap_or(u32::MAX)
    }

    fn run(&mut self) -> Result<()> {
        for step in 1..=self.steps() {
            self.advance(STEP * step)?;
            for (client, _) in &mut self.clients {
                client.ask(step)?;
            }
            for (client, _) in &mut self.clients {
                client.hear(step)?;
            }
        }
        Ok(())
    }

    /// It is `later` than at the beginning, and the agent has done what it does then.
    fn advance(&mut self, later: Duration) -> Result<()> {
        self.time.set(later)?;
        for (client, time) in &self.clients {
            time.set(later + self.day.ahead(client.part().client))?;
        }
        self.witness.look(Timestamp::now() + later)?;
        let agent = self.agent.process().pid();
        let pids: Vec<_> = self.stage.standins().chain([agent]).collect();
        wait_until_idle(&pids, BUSY)
    }

    /// Ends it, and says how it was.
    fn end(self, table: &mut Table) -> Result<()> {
        let requests = usize::try_from(self.steps())?;
        let ledger = Ledger::read(self.stage)?;
        for (client, _time) in self.clients {
            let part = client.part();
            let said = client.end()?;
            let account = ledger.account(&format!("{BASE_ARN}{}", part.role));
            let verdict = match self.day {
                Day::Quiet => verdict::quiet(&said, &account, requests),
                Day::Loud => verdict::loud(&said),
            };
            table.show(
                part.client,
                Column::Refresh,
                [self.day.name(), part.pod],
                verdict,
            );
        }
        if matches!(self.day, Day::Quiet) {
            let lines = self.agent.process().lines();
            let verdict = verdict::agent(self.witness.least(), &lines);
            table.add(["the agent", self.day.name(), ""], verdict);
        }
        Ok(())
    }
}
