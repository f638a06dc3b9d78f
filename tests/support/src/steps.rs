//! A program step by step: a step is a system call that changes something for others, and before each it can be held
//! back, as if its last hour had come just then, or told that the call has failed.
//!
//! The program needs nothing for it. The kernel hands these calls to us (seccomp's notifications, Linux 5.5), of all
//! its threads, and each waits until we have ruled.

mod call;
mod seccomp;

use std::{
    fmt, io,
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::io::Errno;

use crate::process::Process;

pub use call::Step;
use seccomp::{Door, Listener};

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is made.
    GoOn,
    /// It waits, and with it the thread that makes it.
    Hold,
    /// It is not made, and the program is told that it has failed.
    Fail(Errno),
}

type Rule = Box<dyn FnMut(&Step) -> Ruling + Send>;

/// Watches the steps of one program.
#[derive(Debug)]
pub struct Stepper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    listener: Listener,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    rule: Rule,
    /// Those that were ruled on.
    seen: Vec<Step>,
    held: Vec<(u64, Step)>,
    /// The program has ended.
    ended: bool,
}

impl Stepper {
    /// Starts `command`, and rules on its steps by `rule`.
    pub fn spawn(
        name: impl Into<String>,
        mut command: Command,
        rule: impl FnMut(&Step) -> Ruling + Send + 'static,
    ) -> Result<(Process, Self)> {
        let door = Door::put_before(&mut command, &call::numbers())?;
        let process = Process::spawn(name, command)?;
        let shared = Arc::new(Shared {
            listener: door.listener()?,
            state: Mutex::new(State {
                rule: Box::new(rule),
                seen: Vec::new(),
                held: Vec::new(),
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        thread::spawn(move || watched.watch());
        Ok((process, Self(shared)))
    }

    /// From now on it is ruled by `rule`. What is held stays so.
    pub fn rule(&self, rule: impl FnMut(&Step) -> Ruling + Send + 'static) {
        self.0.lock().rule = Box::new(rule);
    }

    /// All steps so far, those that are held too.
    pub fn seen(&self) -> Vec<Step> {
        self.0.lock().seen.clone()
    }

    /// The step that is held, now or within `patience`; none if the program ends first.
    pub fn held(&self, patience: Duration) -> Option<Step> {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.held.is_empty() && !state.ended {
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.held.first().map(|(_, step)| step.clone())
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.0.lock().ended
    }

    /// What is held is made now, and nothing is held any more.
    pub fn release(&self) {
        let mut state = self.0.lock();
        state.rule = Box::new(|_| Ruling::GoOn);
        for (id, _) in state.held.drain(..) {
            // Who made it may be gone.
            let _gone = self.0.listener.go_on(id).err();
        }
    }
}

impl Drop for Stepper {
    /// Nobody is left who could let it go on.
    fn drop(&mut self) {
        self.release();
    }
}

impl Shared {
    /// Until the program has ended.
    fn watch(&self) {
        while let Ok(Some(call)) = self.listener.next() {
            let ruled = match Step::of(&call) {
                Some(step) => self.judge(call.id, step),
                None => self.listener.go_on(call.id),
            };
            // Who made it may be gone.
            let _gone = ruled.err();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn judge(&self, id: u64, step: Step) -> io::Result<()> {
        let mut state = self.lock();
        let ruling = (state.rule)(&step);
        state.seen.push(step.clone());
        match ruling {
            Ruling::GoOn => self.listener.go_on(id),
            Ruling::Fail(errno) => self.listener.fail(id, errno),
            Ruling::Hold => {
                state.held.push((id, step));
                drop(state);
                self.changed.notify_all();
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.seen).finish()
    }
}

/// Holds the step with this number, counted from 1 and from now, and all that come after it.
pub fn hold_from(number: usize) -> impl FnMut(&Step) -> Ruling + Send + 'static {
    let mut count = 0;
    move |_| {
        count += 1;
        if count < number {
            Ruling::GoOn
        } else {
            Ruling::Hold
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use rustix::process::Signal;

    use super::*;
    use crate::{privilege::root_or_skip, run::Run};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Makes three directories; which are there in the end, if `then` sees to an end.
    fn made(
        rule: impl FnMut(&Step) -> Ruling + Send + 'static,
        then: impl FnOnce(&Process, &Stepper),
    ) -> [bool; 3] {
        let at = scratch();
        let mut mkdir = Command::new("mkdir");
        mkdir.args(["a", "b", "c"]).current_dir(&at);
        let (mut process, stepper) = Stepper::spawn("mkdir", mkdir, rule).unwrap();
        then(&process, &stepper);
        process.wait(PATIENCE).unwrap();
        let made = ["a", "b", "c"].map(|name| at.join(name).is_dir());
        fs::remove_dir_all(&at).unwrap();
        made
    }

    fn scratch() -> PathBuf {
        let at = env::temp_dir().join(Run::next().unwrap().to_string());
        fs::create_dir(&at).unwrap();
        at
    }

    #[test]
    fn who_is_held_before_a_step_has_not_made_it_and_can_be_killed_there() {
        if !root_or_skip("steps") {
            return;
        }
        let made = made(hold_from(2), |process, stepper| {
            assert_eq!(stepper.held(PATIENCE).unwrap().to_string(), "mkdir b");
            process.signal(Signal::KILL).unwrap();
        });
        assert_eq!(made, [true, false, false]);
    }

    #[test]
    fn who_is_released_goes_on() {
        if !root_or_skip("steps") {
            return;
        }
        let made = made(hold_from(1), |_, stepper| {
            assert!(stepper.held(PATIENCE).is_some());
            assert_eq!(stepper.held(Duration::ZERO), stepper.held(PATIENCE));
            stepper.release();
        });
        assert_eq!(made, [true; 3]);
    }

    #[test]
    fn a_step_that_fails_is_not_made() {
        if !root_or_skip("steps") {
            return;
        }
        let full = |step: &Step| match step.path() {
            Some("b") => Ruling::Fail(Errno::NOSPC),
            _ => Ruling::GoOn,
        };
        let made = made(full, |process, stepper| {
            let says = |line: &str| line.contains("No space left on device");
            process.wait_for_line(says, PATIENCE).unwrap();
            assert_eq!(stepper.held(PATIENCE), None);
            assert_eq!(stepper.seen().len(), 3);
        });
        assert_eq!(made, [true, false, true]);
    }
}
