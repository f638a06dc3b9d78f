//! What a test's thread logs, as the operator reads it.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Dispatch, subscriber::DefaultGuard};

use crate::terminal::Colour;

use super::{Format, Level, Settings, subscriber};

/// What is logged by this thread from now on, at the level that is the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

/// Ends the listening when it is dropped.
pub(crate) struct Listening {
    _guard: DefaultGuard,
    /// A second one makes all threads ask both before they find that nobody listens.
    _other: Dispatch,
}

impl Logged {
    /// Listens at the default level.
    pub(crate) fn listen() -> (Self, Listening) {
        Self::listen_at(Level::Info)
    }

    /// Listens at another one.
    pub(crate) fn listen_at(level: Level) -> (Self, Listening) {
        let logged = Self::default();
        let writer = logged.clone();
        let settings = Settings {
            level,
            format: Format::Text,
        };
        let other = Dispatch::new(tracing_subscriber::registry());
        let subscriber = subscriber(settings, Colour::Off, move || writer.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        (
            logged,
            Listening {
                _guard: guard,
                _other: other,
            },
        )
    }

    /// The lines that contain `text`.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = all.lines().filter(|line| line.contains(text));
        lines.map(ToOwned::to_owned).collect()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}
