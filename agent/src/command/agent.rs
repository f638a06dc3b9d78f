//! `bpf2iam run`: the agent, from its log to its end.

use crate::{
    app,
    args::Run,
    config::{Config, Machine},
    dump, runtime, telemetry,
};

use super::{Ended, block_on};

/// Runs it. What goes wrong once there is a log is in the log.
pub(super) fn run(args: Run) -> anyhow::Result<Ended> {
    let config = Config::new(args, Machine::observe())?;
    let _log = telemetry::init(config.log)?;
    if let Err(error) = dump::forbid() {
        tracing::warn!("{:#}", anyhow::Error::from(error));
    }
    let (version, workers) = (env!("CARGO_PKG_VERSION"), runtime::workers());
    tracing::info!(version, workers, settings = %config, "starting");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = block_on(runtime::agent(), app::run(config)) {
        tracing::error!("{error:#}");
        return Ok(Ended::Badly);
    }
    Ok(Ended::Well)
}
