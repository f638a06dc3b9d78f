//! Ctrl-C and its kin, which must not keep us from cleaning up: they are noted, and the verb ends where it is.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// How often it is looked whether a signal came, while we wait for nothing else.
const LOOK: Duration = Duration::from_millis(50);

/// Whether somebody wants us to end.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the signals are noted, and do nothing else.
    pub(crate) fn listen() -> Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&came)).context("cannot listen to signals")?;
        }
        Ok(Self(came))
    }

    /// Whether a signal has come.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if a signal has come.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.came(), "a signal came");
        Ok(())
    }

    /// Does `work`. If a signal comes meanwhile, `end` is to make it end.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T, end: impl FnOnce() + Send) -> T {
        let (working, done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if self.came() {
                        return end();
                    }
                }
            });
            let _until_here = working; // a panic ends the other thread too
            work()
        })
    }

    /// Waits for a signal, which counts as answered then, or for Enter.
    pub(crate) fn wait(&self) {
        let enter = enter();
        while !self.0.swap(false, Ordering::Relaxed) {
            match enter.recv_timeout(LOOK) {
                Ok(()) => return,
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody can press Enter, and a signal can still come.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            }
        }
    }
}

/// Hears when Enter is pressed. The end of the input is not Enter.
fn enter() -> Receiver<()> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        if matches!(io::stdin().read_line(&mut String::new()), Ok(1..)) {
            // Whoever waited may have got a signal.
            let _heard = tx.send(()).is_ok();
        }
    });
    rx
}
