//! Whose turn it is on a node with several agents: one starts at a time, and one serves.

use std::{io, path::Path, time::Duration};

use anyhow::Context as _;

use crate::redirect::{Lock, Pins, pins};

/// How often it is tried to be the agent that starts, while another one does.
const TURN: Duration = Duration::from_millis(50);

/// Waits for our turn to start.
pub(super) async fn turn(pin_dir: &Path) -> anyhow::Result<(Pins, Lock)> {
    let mut said = false;
    loop {
        // The rest only with the lock: whoever has it may be removing everything, this directory too.
        Pins::make_root(pin_dir)?;
        match Lock::try_take(pin_dir) {
            Ok(Some(lock)) => return Ok((Pins::open(pin_dir)?, lock)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot lock {}", pin_dir.display()));
            }
            Ok(None) | Err(_) => {}
        }
        if !said {
            tracing::warn!(pin_dir = %pin_dir.display(), "another agent is starting on this node; waiting for it");
            said = true;
        }
        tokio::time::sleep(TURN).await;
    }
}

/// The lock of the one who serves, unless somebody does. Who stands by takes it now and then, for a moment.
pub(super) async fn vacancy(pins: &Pins) -> anyhow::Result<Option<Lock>> {
    for _ in 0..3 {
        if let Some(lock) = lock(pins.dir())? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(TURN).await;
    }
    lock(pins.dir())
}

/// Whether another process holds the lock. What cannot be told is taken for a yes.
pub(super) fn is_locked(dir: &Path) -> bool {
    match Lock::try_take(dir) {
        Ok(taken) => taken.is_none(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Takes a lock; `None` while another process holds it.
pub(super) fn lock(dir: &Path) -> anyhow::Result<Option<Lock>> {
    Lock::try_take(dir).with_context(|| format!("cannot lock {}", dir.display()))
}

/// Takes away the maps of an agent that never attached anything, if there is no other.
pub(super) fn clean_up(pins: &Pins, alone: bool) {
    if !alone || pins.attached() {
        return;
    }
    if let Err(error) = pins::remove_version(pins.dir()) {
        tracing::warn!("{:#}", anyhow::Error::from(error));
    }
    // Another version may have something there.
    let _kept = std::fs::remove_dir(pins.root()).is_ok();
}

/// Whether an agent of another version serves.
pub(super) fn is_other_locked(pins: &Pins) -> bool {
    let others = pins.others().unwrap_or_default();
    others.iter().any(|dir| is_locked(dir))
}
