//! The scenes in which moto's server is STS: who each client is, by every way, without the agent and with it.

use std::path::Path;

use anyhow::Result;
use bpf2iam_support::{
    Options,
    process::Process,
    stage::{Agent, Programs, Stage},
};

use crate::say;

use super::{
    cast::{Asked, Cast, Play},
    cluster::{self, Cluster},
    kit::Kit,
    moto::Moto,
    peer::Service,
    reference::{Lack, Reference},
    scene::Scene,
    table::Table,
    transport::Transport,
};

/// How much of a program's log is shown after a failure.
const TAIL: usize = 20;

/// Requires tokens.
const TOKENS: [&str; 2] = ["--imds-tokens", "required"];

/// Plays them on one stage. Returns how clients fail without an agent.
pub(super) fn play(
    programs: Programs,
    apiserver: &Path,
    kit: &Kit,
    table: &mut Table,
) -> Result<Reference> {
    let mut stage = Stage::set(programs, Options::default(), &[])?;
    let moto = Moto::instead_of_stand_in(&mut stage, kit)?;
    let cast = Cast::gather(&stage)?;
    let reference = rehearse(&mut stage, &cast, kit, table)?;
    say::step("without the agent: every client is the node");
    let service = Service::start(&mut stage)?;
    let play = Play {
        kit,
        scene: Scene::Node,
        asked: Asked::Service(&service),
        reference: &reference,
    };
    cast.play(play, &Transport::ALL, table)?;

    say::step("with the agent: every client is its pod's role");
    let agent = start(&stage, &cast, &moto, &[])?;
    cast.play(play.with(&agent, Scene::Agent), &Transport::ALL, table)?;
    end(agent, &moto, table)?;

    say::step("tokens required: every client shows one");
    let agent = start(&stage, &cast, &moto, &TOKENS)?;
    let strict = play.with(&agent, Scene::TokensRequired);
    cast.play(strict, &[Transport::Ipv4], table)?;
    end(agent, &moto, table)?;

    say::step("with a cluster: every client is the role of its pod's ServiceAccount");
    let cluster = Cluster::start(&stage, apiserver)?;
    moto.forget()?;
    let agent = stage.start_agent(&cluster::FLAGS)?;
    let cast = Cast::of_accounts(&stage, &cluster)?;
    agent
        .wait_for_keys_of(cast.members().len())
        .inspect_err(|_| show_both(&agent, &moto))?;
    let clustered = play.with(&agent, Scene::Agent);
    cast.play(clustered, &[Transport::Ipv4], table)?;
    cast.audit(&moto, table)?;
    end(agent, &moto, table)?;
    Ok(reference)
}

/// Lets every client fail without an agent.
fn rehearse(stage: &mut Stage, cast: &Cast, kit: &Kit, table: &mut Table) -> Result<Reference> {
    let mut reference = Reference::default();
    for lack in [Lack::Role, Lack::Answer] {
        say::step(format!(
            "without the agent, on a {}: how each client gives up",
            lack.name()
        ));
        stage.start_imds(lack.instance())?;
        reference.rehearse(lack, cast.members(), kit, table)?;
    }
    Ok(reference)
}

/// An agent that has keys for its pods.
fn start(stage: &Stage, cast: &Cast, moto: &Moto, flags: &[&str]) -> Result<Agent> {
    let agent = stage.start_agent(flags)?;
    cast.ask_for_keys()
        .inspect_err(|_| show_both(&agent, moto))?;
    Ok(agent)
}

/// Ends an agent.
fn end(agent: Agent, moto: &Moto, table: &Table) -> Result<()> {
    if table.has_failures() {
        show_both(&agent, moto);
    }
    agent.stop()?;
    Ok(())
}

/// Shows what there is to find out from the agent and STS.
fn show_both(agent: &Agent, moto: &Moto) {
    show("moto", moto.process());
    show("bpf2iam", agent.process());
}

/// Shows the end of what a program has printed.
pub(super) fn show(name: &str, process: &Process) {
    say::step(format!("what {name} said last"));
    let lines = process.lines();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        say::note(line);
    }
}
