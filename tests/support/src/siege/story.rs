//! What happens to the agent.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::{Pod, client::Spell, moment::Moment, stage::Stage};

use super::{Running, Seen, Siege};

/// How long things stay as they are.
const REST: Duration = Duration::from_millis(250);

/// An agent was killed, and another one was started.
#[derive(Clone, Copy, Debug)]
pub struct Killed {
    /// When the signal was sent.
    pub killed: Moment,
    /// When the next one was started.
    pub started: Moment,
    /// When that served.
    pub served: Moment,
}

/// An agent was removed, and installed again.
#[derive(Clone, Copy, Debug)]
pub struct Removed {
    /// When that began.
    pub begun: Moment,
    /// When nothing of it was left.
    pub gone: Moment,
    /// When the next one was started.
    pub started: Moment,
    /// When that served.
    pub served: Moment,
}

impl Killed {
    /// Whether all of these began while nobody served.
    pub fn covers(&self, spell: &Spell) -> bool {
        spell.first >= self.killed && spell.last <= self.served
    }

    /// Whether these were under way when it was killed.
    pub fn cuts(&self, spell: &Spell) -> bool {
        spell.end >= self.killed && spell.first <= self.started
    }
}

impl Removed {
    /// Whether all of these began while it was being removed.
    pub fn ends(&self, spell: &Spell) -> bool {
        spell.first >= self.begun && spell.last <= self.gone
    }

    /// Whether all of these began while there was none, or while one was being removed or installed.
    pub fn covers(&self, spell: &Spell) -> bool {
        spell.first >= self.begun && spell.last <= self.served
    }
}

/// Replaces the agent so many times, each time as a rollout does that starts the next one before it ends the last.
pub fn upgrade(stage: &Stage, pod: &Pod, times: u32) -> Result<Seen> {
    let mut agent = Running::start(stage, &[])?;
    let siege = Siege::begin(stage, pod)?;
    for _ in 0..times {
        let next = Running::start(stage, &[])?;
        let ended = agent.end(Signal::TERM)?;
        ensure!(ended.success(), "the agent before it: {ended}");
        agent = next;
    }
    thread::sleep(REST);
    let seen = siege.end()?;
    agent.end(Signal::INT)?;
    Ok(seen)
}

/// Kills the agent so many times, and starts another one each time.
pub fn kill(stage: &Stage, pod: &Pod, times: u32) -> Result<(Seen, Vec<Killed>)> {
    let mut agent = Running::start(stage, &[])?;
    let siege = Siege::begin(stage, pod)?;
    let mut all = Vec::new();
    for _ in 0..times {
        thread::sleep(REST);
        let killed = Moment::now();
        agent.end(Signal::KILL)?;
        agent = Running::start(stage, &[])?;
        all.push(Killed {
            killed,
            started: agent.started(),
            served: Moment::now(),
        });
    }
    thread::sleep(REST);
    let seen = siege.end()?;
    agent.end(Signal::INT)?;
    Ok((seen, all))
}

/// Removes the agent so many times, in turns as somebody at a terminal does and by hand after it has ended, and installs
/// it again each time.
pub fn remove(stage: &Stage, pod: &Pod, times: u32) -> Result<(Seen, Vec<Removed>)> {
    let mut agent = Running::start(stage, &[])?;
    let siege = Siege::begin(stage, pod)?;
    let mut all = Vec::new();
    for time in 0..times {
        thread::sleep(REST);
        let begun = Moment::now();
        take_away(stage, agent, time)?;
        let gone = Moment::now();
        thread::sleep(REST);
        agent = Running::start(stage, &[])?;
        all.push(Removed {
            begun,
            gone,
            started: agent.started(),
            served: Moment::now(),
        });
    }
    thread::sleep(REST);
    let seen = siege.end()?;
    agent.end(Signal::INT)?;
    Ok((seen, all))
}

fn take_away(stage: &Stage, agent: Running, time: u32) -> Result<()> {
    if time.is_multiple_of(2) {
        agent.end(Signal::INT)?;
    } else {
        agent.end(Signal::TERM)?;
        let (done, said) = stage.uninstall(&[])?;
        ensure!(done, "{said}");
    }
    ensure!(!stage.pin_dir().exists(), "something is still pinned");
    Ok(())
}
