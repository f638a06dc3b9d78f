//! What a program has printed.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{ChildStderr, ChildStdout},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

/// The lines of a program's streams, in the order in which they came.
#[derive(Debug)]
pub(super) struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<String>,
    /// Streams that may still say something.
    open: usize,
}

impl Lines {
    /// Reads both streams, on threads that end with them.
    pub(super) fn following(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Arc<Self> {
        let lines = Arc::new(Self {
            state: Mutex::new(State {
                lines: Vec::new(),
                open: usize::from(stdout.is_some()) + usize::from(stderr.is_some()),
            }),
            changed: Condvar::new(),
        });
        if let Some(stream) = stdout {
            lines.follow(stream);
        }
        if let Some(stream) = stderr {
            lines.follow(stream);
        }
        lines
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The first that is `wanted`; none when it has not come by `deadline`, or cannot come any more.
    pub(super) fn wait_for(
        &self,
        wanted: impl Fn(&str) -> bool,
        deadline: Instant,
    ) -> Option<String> {
        let mut seen = 0;
        let mut found = None;
        self.wait_until(deadline, |state| {
            let mut new = state.lines.iter().skip(seen);
            found = new.find(|line| wanted(line)).cloned();
            seen = state.lines.len();
            found.is_some() || state.open == 0
        });
        found
    }

    /// Waits for the end of the streams.
    pub(super) fn wait_for_end(&self, deadline: Instant) {
        self.wait_until(deadline, |state| state.open == 0);
    }

    fn wait_until(&self, deadline: Instant, mut done: impl FnMut(&State) -> bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), left, |state| !done(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                lines.change(|state| state.lines.push(text));
                line.clear();
            }
            lines.change(|state| state.open -= 1);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
