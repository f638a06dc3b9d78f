//! Clients whose first answer takes a while: their pod becomes known only then. In life it is a pod whose containers
//! are faster than the news of it.
//!
//! A token is given to unknown pods as well, after a shorter wait. What is meant is the first answer that is about the
//! pod: who fetches a token has waited for that before. The agent's log says how long the answer took. Where that was
//! not what was wanted, on a busy machine, it is done once more in another pod.

use std::{
    ops::Range,
    panic::resume_unwind,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{
    Pod, manifest,
    pod::Spec,
    stage::{Agent, Stage},
};

use crate::say;

use super::{
    access::{self, Access},
    client::Client,
    column::Column,
    kit::Kit,
    member::Member,
    ran::{PATIENCE, Ran, run},
    status,
    table::Table,
    task::Task,
    transport::Transport,
};

/// How long the first answer takes.
const DELAY: Duration = Duration::from_millis(400);
/// What is waited beyond that: the request comes a little later than its connection.
const REST: Duration = Duration::from_millis(10);
/// How long it may take: less than the agent waits at all.
const WANTED: Range<Duration> = DELAY..Duration::from_millis(850);
/// How often it is tried.
const TRIES: usize = 4;

/// What all these pods want to be.
const ROLE: &str = "latecomer";

/// Counts the connections that pods make.
const CONNECTIONS: &str = "redirected";
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// What it takes to play.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    pub(super) agent: &'a Agent,
    pub(super) kit: &'a Kit,
}

/// Runs every client once, in a pod of its own.
pub(super) fn play(scene: Scene<'_>, table: &mut Table) -> Result<()> {
    for (number, client) in Client::ALL.into_iter().enumerate() {
        let mut attempt = try_once(scene, client, &format!("late-{number}"))?;
        for again in 1..TRIES {
            let Err(otherwise) = on_time(attempt.0) else {
                break;
            };
            say::note(format!("{}: {otherwise}; once more", client.name()));
            attempt = try_once(scene, client, &format!("late-{number}-{again}"))?;
        }
        let (delay, verdict) = attempt;
        let late = |said| format!("after {} ms: {said}", delay.as_millis());
        let verdict = on_time(delay).and_then(|()| verdict.map(late).map_err(late));
        let pod = format!("late-{number}");
        table.show(client, Column::Delayed, ["delayed", &pod], verdict);
    }
    Ok(())
}

/// How long the answer was held, and what came of it.
type Attempt = (Duration, Result<String, String>);

fn try_once(scene: Scene<'_>, client: Client, name: &str) -> Result<Attempt> {
    let member = member(scene.stage, name)?;
    let command = member.command(scene.kit, client, Transport::Ipv4, Task::Caller)?;
    let access = Access::of(scene.agent, &member.pod);
    let ran = scene.run(command, &member.pod, connections_before(client))?;
    let caller = ran
        .map_err(|error| format!("{error:#}"))
        .and_then(|ran| member.judge(&ran));
    let sequence = || match client.exempt(Column::Sequence) {
        Some(_) => Ok(String::new()),
        None => access.judge(access::sequence),
    };
    let verdict =
        caller.and_then(|caller| sequence().map(|sequence| format!("{caller} {sequence}")));
    Ok((access::slowest(&access.requests()), verdict))
}

/// A pod with a role, that the agent knows nothing of.
fn member(stage: &Stage, name: &str) -> Result<Member> {
    let spec = Spec::new("shop", name).annotation("iam.amazonaws.com/role", ROLE);
    Member::new(stage, stage.node().add_pod(spec)?, Some(ROLE))
}

impl Scene<'_> {
    /// Runs a client, and lets the agent know its pod a while after the client has made one connection more than
    /// `others`.
    fn run(self, mut command: Command, pod: &Pod, others: u64) -> Result<Result<Ran>> {
        let before = self.connections()? + others;
        thread::scope(|scope| {
            let running = scope.spawn(move || run(&mut command, PATIENCE));
            let known = self
                .wait_for_more_than(before)
                .map(|()| thread::sleep(DELAY + REST))
                .and_then(|()| manifest::write_pod(&self.stage.manifests(), pod));
            let ran = running.join().unwrap_or_else(|panic| resume_unwind(panic));
            known.map(|_file| ran)
        })
    }

    fn wait_for_more_than(self, before: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.connections()? <= before {
            ensure!(
                Instant::now() < deadline,
                "it asks the metadata service nothing"
            );
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// How many connections pods have made so far.
    fn connections(self) -> Result<u64> {
        let status = status::read(&self.stage.runtime_dir())?;
        let count = status["counters"]["kernel"][CONNECTIONS].as_u64();
        count.with_context(|| format!("no counter {CONNECTIONS}"))
    }
}

/// How many connections a client makes before it asks for its role: the agent closes each after its answer.
const fn connections_before(client: Client) -> u64 {
    if client.has_tokens() { 1 } else { 0 }
}

/// Whether it was as late as it had to be.
fn on_time(delay: Duration) -> Result<(), String> {
    if WANTED.contains(&delay) {
        Ok(())
    } else {
        Err(format!("its first answer took {} ms", delay.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_quick_answer_nor_one_that_never_came_is_a_late_one() {
        for (ms, expected) in [
            (0, false),
            (399, false),
            (400, true),
            (849, true),
            (900, false),
        ] {
            assert_eq!(on_time(Duration::from_millis(ms)).is_ok(), expected, "{ms}");
        }
    }
}
