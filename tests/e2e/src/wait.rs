//! Waiting for what will be so.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Longer than any single thing takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What `look` finds at last. It says what there is instead until then; a look that fails is one of those.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    within(PATIENCE, what, look)
}

/// The same, for what takes no longer than this.
pub fn within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let seen = look().unwrap_or_else(|error| Err(format!("{error:#}")));
        match seen {
            Ok(found) => return Ok(found),
            Err(instead) if Instant::now() >= deadline => {
                bail!("waited for {what}; it is {instead}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
