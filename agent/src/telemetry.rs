//! What happened, as lines on standard error.
//!
//! Our own crates and the target [`ACCESS`] speak at the level that the operator chose, all others one
//! step quieter or not at all. Records of the `log` crate, among them those of the BPF programs, come out here as
//! well, and so does a panic. Whoever says something does not wait until it is read.

mod json;
mod queue;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt, io,
    panic::{self, PanicHookInfo},
};

use clap::ValueEnum;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{MakeWriter, format::JsonFields},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
    util::TryInitError,
};

use crate::terminal::Colour;

pub use queue::Log;

use json::Json;
use queue::Queue;

/// The target of completion events: one a request, at info.
pub const ACCESS: &str = "access";

/// The target of our own crates: all their names begin so.
const OWN: &str = "bpf2iam";

/// It tells us of its errors. In its log, it tells everybody what it could not read, be it a token.
const KUBE: &str = "kube_client";

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What stops the agent.
    // Go's programs have two more words for that.
    #[value(aliases = ["fatal", "panic"])]
    Error,
    /// What somebody should look at.
    #[value(alias = "warning")]
    Warn,
    /// What changed.
    Info,
    /// What was decided.
    Debug,
    /// Every connection and request.
    Trace,
}

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One object a line, for programs.
    Json,
    /// For people.
    Text,
}

/// What the operator chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `--log-level`
    pub level: Level,
    /// `--log-format`
    pub format: Format,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no thread to write it.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
    /// Somebody else takes what is said.
    #[error("the log goes elsewhere already")]
    Installed(#[source] TryInitError),
}

/// Sends everything to standard error from now on, until what this returns is dropped. Called once, before anything
/// else is said.
pub fn init(settings: Settings) -> Result<Log, Error> {
    let lost = |lines| tracing::warn!(lines, "the log was not read in time; lines are lost");
    let (slot, log) = Queue::start(io::stderr(), lost).map_err(Error::Thread)?;
    subscriber(settings, Colour::of(&io::stderr()), slot)
        .try_init()
        .map_err(Error::Installed)?;
    panic::set_hook(Box::new(report));
    Ok(log)
}

/// What writes everything to `writer`: [`init`] without the rest of the process, for tests of what is said.
pub fn subscriber<W>(
    settings: Settings,
    colour: Colour,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = Targets::new()
        .with_default(settings.level.quieter())
        .with_targets([(OWN, settings.level), (ACCESS, settings.level)])
        .with_target(KUBE, LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines(settings.format, colour, writer))
}

fn lines<S, W>(
    format: Format,
    colour: Colour,
    writer: W,
) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        Format::Text => lines.with_ansi(colour == Colour::On).boxed(),
        Format::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(Json)
            .boxed(),
    }
}

/// Says that a thread or a task panicked, and where.
fn report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(tracing::field::display);
    let backtrace = Backtrace::capture(); // empty unless RUST_BACKTRACE asks for it
    let backtrace = (backtrace.status() == BacktraceStatus::Captured)
        .then(|| tracing::field::display(backtrace));
    tracing::error!(location, backtrace, "panic: {message}");
}

impl Level {
    const fn quieter(self) -> Self {
        match self {
            Self::Error | Self::Warn => Self::Error,
            Self::Info => Self::Warn,
            Self::Debug => Self::Info,
            Self::Trace => Self::Debug,
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flag_value(self, f)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flag_value(self, f)
    }
}

/// The value as the operator would give it.
fn write_flag_value(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value.to_possible_value() {
        Some(value) => f.write_str(value.get_name()),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
