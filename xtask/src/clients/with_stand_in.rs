//! The scenes in which our stand-in is STS, which does what it is told: refuses, says nothing, gives short sessions.

use anyhow::Result;
use bpf2iam_support::{
    Options,
    stage::{Programs, Stage},
};
use serde_json::json;

use crate::say;

use super::{
    delayed::{self, Scene},
    kit::Kit,
    reference::Reference,
    refresh, refused, region,
    table::Table,
    with_moto::show,
};

/// Plays them on one stage.
pub(super) fn play(
    programs: Programs,
    kit: &Kit,
    reference: &Reference,
    table: &mut Table,
) -> Result<()> {
    let stage = Stage::set(programs, Options::default(), &[])?;
    let rules = [refused::rules(), refresh::rules()].concat();
    stage.set_sts_rules(&json!(rules))?;
    refused::prepare(&stage)?;
    let agent = stage.start_agent(&[refused::FLAG])?;

    say::step("the first answer is late: every client waits");
    let scene = Scene {
        stage: &stage,
        agent: &agent,
        kit,
    };
    delayed::play(scene, table)?;
    say::step("keys end, while others ask for their Region");
    let running = refresh::start(&stage, kit)?;
    region::play(&stage, &agent, kit, table)?;
    refresh::end(running, &stage, table)?;
    // At last: where STS is silent, the agent asks it for nobody's keys as fast as before.
    say::step("no keys for pods that have a role: every client gives up");
    refused::play(&stage, kit, reference, table)?;

    if table.has_failures() {
        show("bpf2iam", agent.process());
    }
    agent.stop()?;
    Ok(())
}
