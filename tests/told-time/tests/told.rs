//! Programs that are told another time.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Condvar, Mutex},
    time::{Duration, Instant},
};

/// Two hours.
const LATER: Duration = Duration::from_hours(2);

/// Where cargo puts the library: beside the directory of this program.
fn library() -> PathBuf {
    let this = env::current_exe().unwrap();
    let mut directories = this.ancestors().skip(1).take(2);
    let library = directories.find_map(|directory| {
        let library = directory.join("libtold_time.so");
        library.is_file().then_some(library)
    });
    library.expect("cargo has built it")
}

fn told(program: impl AsRef<Path>, later: Duration, file: &Path) -> Command {
    let nanoseconds = u64::try_from(later.as_nanos()).unwrap();
    fs::write(file, nanoseconds.to_ne_bytes()).unwrap();
    let mut command = Command::new(program.as_ref());
    command
        .env("LD_PRELOAD", library())
        .env("TOLD_TIME_FILE", file);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_program_believes_that_it_is_later() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("time");
    let date = |later| {
        let said = said(told("date", later, &file).arg("+%s"));
        said.trim().parse::<u64>().unwrap()
    };
    let (now, later) = (date(Duration::ZERO), date(LATER));
    let between = LATER.as_secs()..LATER.as_secs() + 60;
    assert!(between.contains(&(later - now)), "{now} {later}");
}

/// The other end of the next test.
#[test]
fn child() {
    let Ok(file) = env::var("TOLD_TIME_FILE") else {
        return;
    };
    let start = Instant::now();
    fs::write(file, 0_u64.to_ne_bytes()).unwrap();
    assert!(start.checked_duration_since(Instant::now()) > Some(LATER - Duration::from_mins(1)));
    let lock = Mutex::new(());
    let waited = Condvar::new().wait_timeout(lock.lock().unwrap(), Duration::from_millis(50));
    assert!(waited.unwrap().1.timed_out());
}

#[test]
fn clocks_move_while_it_runs_and_waits_with_a_timeout_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("time");
    let this = env::current_exe().unwrap();
    said(told(this, LATER, &file).args(["--exact", "child"]));
}
