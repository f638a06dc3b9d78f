//! Lines on their way to standard error.
//!
//! A thread of its own writes them, so that whoever logs does not wait for whoever reads: a full disk behind the log
//! must not keep pods from their credentials. Lines that find no room are lost, and their number is said as soon as
//! there is room again. Records of requests may take a part of the room only, so that a busy pod cannot keep from the
//! operator what went wrong. A process that is killed loses what it said in its last milliseconds.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::ACCESS;

/// How many bytes may wait. A line has some 400.
const ROOM: usize = 1 << 20;
/// How many there may be before no record of a request is taken any more.
const ROOM_OF_REQUESTS: usize = ROOM / 2;
/// What is kept of the memory that they took.
const USUAL: usize = 128 << 10;
/// How long the thread rests after it wrote. A line that comes alone is written at once; many lines are written
/// together, and cost their share of a system call.
const REST: Duration = Duration::from_millis(10);
/// How long the end waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes lines, and never waits for their reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room, since that was last said.
    lost: u64,
    /// Whether the thread waits to be woken; that takes a system call.
    asleep: bool,
    life: Life,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Open,
    /// No more lines will come.
    Closing,
    /// All are written.
    Ended,
}

impl Queue {
    /// Starts to write to `out`. `lost` hears how many lines were lost.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lost: impl Fn(u64) + Send + 'static,
    ) -> io::Result<(Slot, Log)> {
        let queue = Arc::new(Self::default());
        let writer = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(out, lost))?;
        Ok((Slot(Arc::clone(&queue)), Log(queue)))
    }

    fn push(&self, line: &[u8], room: usize) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > room {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        let wake = mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }

    fn run(&self, mut out: impl Write, lost: impl Fn(u64)) {
        let mut batch = Vec::new();
        while let Some(losses) = self.take(&mut batch) {
            // Where nobody reads any more, there is nobody to tell.
            let _written = out.write_all(&batch).is_ok();
            batch.clear();
            batch.shrink_to(USUAL);
            if losses > 0 {
                lost(losses);
            }
            drop(self.wait(REST, |state| state.life == Life::Open));
        }
        self.state().life = Life::Ended;
        self.changed.notify_all();
    }

    /// Waits for lines, moves them to `batch`, and says how many were lost. None when there will be no more.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.state();
        while state.waiting.is_empty() && state.life == Life::Open {
            state.asleep = true;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut state.waiting, batch);
        let lost = mem::take(&mut state.lost);
        drop(state);
        (!batch.is_empty()).then_some(lost)
    }

    /// Waits as long as the state is `so`, at most `patience`.
    fn wait(&self, patience: Duration, so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), patience, |state| so(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and every change leaves a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines are put in.
#[derive(Clone, Debug)]
pub(super) struct Slot(Arc<Queue>);

impl<'a> MakeWriter<'a> for Slot {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0, ROOM)
    }

    fn make_writer_for(&'a self, record: &Metadata<'_>) -> Line<'a> {
        let of_request = record.target() == ACCESS;
        Line(&self.0, if of_request { ROOM_OF_REQUESTS } else { ROOM })
    }
}

/// Puts one line in, as long as there are no more bytes than these.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a Queue, usize);

impl Write for Line<'_> {
    /// Takes a line, or loses it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line, self.1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the log going. On drop, what waits is written, as far as somebody reads.
#[derive(Debug)]
pub struct Log(Arc<Queue>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.state().life = Life::Closing;
        self.0.changed.notify_all();
        drop(self.0.wait(PATIENCE, |state| state.life != Life::Ended));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{self, Receiver, Sender},
        time::Instant,
    };

    use super::*;

    /// Hands over what is written, and waits to be told to go on.
    struct Slow {
        written: Sender<Vec<u8>>,
        go_on: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let sent = self.written.send(bytes.to_vec()).is_ok();
            if sent && self.go_on.recv().is_ok() {
                Ok(bytes.len())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct World {
        slot: Slot,
        log: Log,
        written: Receiver<Vec<u8>>,
        go_on: Sender<()>,
        lost: Receiver<u64>,
    }

    fn world() -> World {
        let (written_tx, written) = mpsc::channel();
        let (go_on, go_on_rx) = mpsc::channel();
        let (lost_tx, lost) = mpsc::channel();
        let out = Slow {
            written: written_tx,
            go_on: go_on_rx,
        };
        let (slot, log) = Queue::start(out, move |lines| lost_tx.send(lines).unwrap()).unwrap();
        World {
            slot,
            log,
            written,
            go_on,
            lost,
        }
    }

    impl World {
        fn say(&self, line: &str) {
            self.slot.make_writer().write_all(line.as_bytes()).unwrap();
        }

        fn written(&self) -> String {
            String::from_utf8(self.written.recv().unwrap()).unwrap()
        }
    }

    #[test]
    fn lines_that_come_during_a_write_go_out_together_and_in_order() {
        let world = world();
        world.say("one\n");
        assert_eq!(world.written(), "one\n");
        world.say("two\n");
        world.say("three\n");
        world.go_on.send(()).unwrap();
        assert_eq!(world.written(), "two\nthree\n");
        world.go_on.send(()).unwrap();
    }

    #[test]
    fn the_end_waits_for_what_was_said_last() {
        let world = world();
        world.say("one\n");
        assert_eq!(world.written(), "one\n");
        world.say("last\n");
        world.go_on.send(()).unwrap();
        world.go_on.send(()).unwrap();
        drop(world.log);
        assert_eq!(world.written.recv().unwrap(), b"last\n");
    }

    #[test]
    fn a_reader_that_does_not_read_holds_up_nobody_and_lines_are_lost() {
        let world = world();
        world.say("one\n");
        assert_eq!(world.written(), "one\n");
        let line = "x".repeat(ROOM / 4);
        for _ in 0..7 {
            world.say(&line);
        }
        world.go_on.send(()).unwrap();
        assert_eq!(world.written().len(), ROOM);
        world.go_on.send(()).unwrap();
        assert_eq!(world.lost.recv().unwrap(), 3);
        world.say("there is room again\n");
        assert_eq!(world.written(), "there is room again\n");
        world.go_on.send(()).unwrap();
    }

    #[test]
    fn records_of_requests_leave_room_for_others() {
        let world = world();
        world.say("one\n");
        assert_eq!(world.written(), "one\n");
        let subscriber = tracing_subscriber::fmt()
            .with_writer(world.slot.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let long = "x".repeat(ROOM_OF_REQUESTS / 4);
            for _ in 0..9 {
                tracing::info!(target: ACCESS, long);
            }
            tracing::warn!("something is wrong");
        });
        world.go_on.send(()).unwrap();
        let written = world.written();
        assert!(written.len() < ROOM_OF_REQUESTS, "{}", written.len());
        assert!(written.ends_with("something is wrong\n"));
        world.go_on.send(()).unwrap();
        assert_eq!(world.lost.recv().unwrap(), 6);
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let World {
            slot,
            log,
            written,
            go_on,
            ..
        } = world();
        slot.make_writer().write_all(b"one\n").unwrap();
        written.recv().unwrap();
        let start = Instant::now();
        drop(log);
        assert!(start.elapsed() >= PATIENCE);
        drop(go_on);
    }
}
