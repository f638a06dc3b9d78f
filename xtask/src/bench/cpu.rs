//! How much processor time a program takes.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// How long all threads of the process with this id have run so far, those that have ended aside.
pub(super) fn time(pid: u32) -> Result<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(&tasks).context(tasks)? {
        // A thread that ends meanwhile counts no more.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let run = text.split_whitespace().next();
        sum += Duration::from_nanos(run.and_then(|run| run.parse().ok()).unwrap_or_default());
    }
    Ok(sum)
}
