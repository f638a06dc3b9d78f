//! What the agent logs: through its own subscriber, at its most talkative, into memory.

use std::{
    io::{self, Write},
    sync::Arc,
};

use bpf2iam::{
    telemetry::{self, Format, Level, Settings},
    terminal::Colour,
};
use serde_json::Value;
use tokio::sync::watch;
use tracing::subscriber::DefaultGuard;

use crate::wait::soon;

/// The lines so far.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<watch::Sender<Vec<String>>>);

impl Log {
    /// Takes all that is said on this thread until the guard is dropped. The runtime of a test has no other.
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        let log = Self(Arc::default());
        let settings = Settings {
            level: Level::Trace,
            format: Format::Json,
        };
        let (line, off) = (log.clone(), Colour::Off);
        let subscriber = telemetry::subscriber(settings, off, move || Line(line.clone()));
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// All lines, as they are printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// The records that say `message`.
    pub(crate) fn records(&self, message: &str) -> Vec<Value> {
        let records = self.0.borrow().iter().map(|line| parse(line)).collect();
        only(records, message)
    }

    /// The records that somebody should look at.
    pub(crate) fn warnings(&self) -> Vec<Value> {
        let mut records: Vec<Value> = self.0.borrow().iter().map(|line| parse(line)).collect();
        records.retain(|record| matches!(record["level"].as_str(), Some("WARN" | "ERROR")));
        records
    }

    /// How requests of the pod with this name ended, in order: route, status, outcome.
    pub(crate) fn requests(&self, pod: &str) -> Vec<(String, u64, String)> {
        let of_pod = |record: &Value| record["target"] == "access" && record["pod"] == pod;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.records("request")
            .iter()
            .filter(|record| of_pod(record))
            .map(|record| {
                let status = record["status"].as_u64().unwrap();
                (text(&record["route"]), status, text(&record["outcome"]))
            })
            .collect()
    }

    /// The first record that says `message`, as soon as there is one.
    pub(crate) async fn wait_for(&self, message: &str) -> Value {
        let mut lines = self.0.subscribe();
        let found = soon(lines.wait_for(|lines| {
            let records = lines.iter().map(|line| parse(line)).collect();
            !only(records, message).is_empty()
        }));
        drop(found.await.unwrap());
        self.records(message).swap_remove(0)
    }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

fn only(mut records: Vec<Value>, message: &str) -> Vec<Value> {
    records.retain(|record| record["message"] == message);
    records
}

/// A line in the making.
struct Line(Log);

impl Write for Line {
    /// Each line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(line.to_vec()).map_err(io::Error::other)?;
        self.0.0.send_modify(|lines| lines.push(text));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
