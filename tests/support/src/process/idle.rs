//! When programs have done all that there was to do.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// What `/proc/PID/task/TID/status` says of a thread that waits for something.
const SLEEPS: &str = "State:\tS";
/// ... and how often it had to, each time that it ran.
const SWITCHES: &str = "voluntary_ctxt_switches:";

/// Waits until the programs with these process ids, which may be waiting for each other, wait for somebody else:
/// none of their threads runs, and none has run between two looks.
pub fn wait_until_idle(pids: &[u32], patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let mut before = None;
    loop {
        let now = asleep(pids)?;
        if now.is_some() && now == before {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "still busy after {patience:?}: {pids:?}"
        );
        before = now;
        thread::sleep(PAUSE);
    }
}

/// How often each of their threads has gone to sleep; none if one is awake.
fn asleep(pids: &[u32]) -> Result<Option<Vec<String>>> {
    let mut all = Vec::new();
    for pid in pids {
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            // One that has ended meanwhile was awake.
            let Some(switches) = switches(&task?.path()) else {
                return Ok(None);
            };
            all.push(switches);
        }
    }
    Ok(Some(all))
}

fn switches(task: &Path) -> Option<String> {
    let status = fs::read_to_string(task.join("status")).ok()?;
    let mut lines = status.lines();
    lines.find(|line| line.starts_with(SLEEPS))?;
    let switches = lines.find(|line| line.starts_with(SWITCHES))?;
    Some(format!("{} {switches}", task.display()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_waits_is_idle_and_who_works_is_not() {
        let (long, short) = (Duration::from_secs(10), Duration::from_millis(100));
        for (script, patience, idle) in [
            ("read line", long, true),
            ("while :; do :; done", short, false),
        ] {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).stdin(Stdio::piped());
            let mut child = shell.spawn().unwrap();
            let waited = wait_until_idle(&[child.id()], patience);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(waited.is_ok(), idle, "{script}");
        }
    }

    #[test]
    fn nobody_waits_for_a_program_that_is_gone() {
        assert!(wait_until_idle(&[u32::MAX], Duration::from_secs(1)).is_err());
    }
}
