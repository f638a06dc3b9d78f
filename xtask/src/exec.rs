//! Running other programs: shown before they run, and an error that names the command when they fail.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::say;

/// Where administrators' programs are, which an ordinary user's `PATH` may not name.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Sees to it that this program and all that it starts find administrators' programs by name: where `PATH` lacks
/// them, this program starts anew. Its own environment cannot be changed safely.
pub(crate) fn complete_path() -> Result<()> {
    let Some(path) = env::var_os("PATH").and_then(|path| completed(&path)) else {
        return Ok(());
    };
    let this = env::current_exe().context("this program's own path")?;
    let mut again = Command::new(this);
    again.args(env::args_os().skip(1)).env("PATH", path);
    Err(again.exec()).context("cannot start anew")
}

/// `path` with the system's directories; none if it has them.
fn completed(path: &OsStr) -> Option<OsString> {
    let mut dirs: Vec<_> = env::split_paths(path).collect();
    let missing = SYSTEM_DIRS.map(PathBuf::from);
    let missing = missing.into_iter().filter(|dir| !dirs.contains(dir));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return None;
    }
    dirs.extend(missing);
    env::join_paths(dirs).ok()
}

/// Runs a command to its end; fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say::note(format!("$ {}", shown(command)));
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    succeeded(command, status)
}

/// Runs a command quietly and returns what it wrote to standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            said.trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` did not write text", shown(command)))
}

/// Runs a command and hands over each line of its standard output as it comes. The caller judges the exit status.
pub(crate) fn lines(command: &mut Command, each: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    each_line(stdout, each)?;
    Ok(child.wait()?)
}

/// As [`lines`], with the lines of standard error too.
pub(crate) fn lines_of_both(
    command: &mut Command,
    each_out: impl FnMut(&str),
    each_err: impl FnMut(&str) + Send,
) -> Result<ExitStatus> {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let stderr = child.stderr.take().context("standard error is piped")?;
    thread::scope(|scope| {
        let errors = scope.spawn(|| each_line(stderr, each_err));
        each_line(stdout, each_out)?;
        let read = errors.join();
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(child.wait()?)
}

fn spawn(command: &mut Command) -> Result<Child> {
    say::note(format!("$ {}", shown(command)));
    let spawned = command.spawn();
    spawned.with_context(|| format!("cannot run `{}`", shown(command)))
}

fn each_line(stream: impl Read, mut each: impl FnMut(&str)) -> io::Result<()> {
    for line in BufReader::new(stream).split(b'\n') {
        each(&String::from_utf8_lossy(&line?));
    }
    Ok(())
}

/// Whether a command can be run and ends well; what it prints is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    let status: io::Result<_> = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// An error that names the command, unless it ended well.
pub(crate) fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Where a program is, by `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// The command as a person would type it, with the program's bare name.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let error = capture(Command::new("/bin/sh").args(["-c", "echo no >&2; exit 3"]))
            .expect_err("it exits with 3");
        assert_eq!(
            error.to_string(),
            "`sh -c echo no >&2; exit 3` failed (exit status: 3): no"
        );
    }

    #[test]
    fn a_program_that_is_nowhere_is_an_error_and_does_not_work() {
        assert!(run(&mut Command::new("/nowhere/program")).is_err());
        assert!(!works(&mut Command::new("/nowhere/program")));
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    #[test]
    fn a_path_gets_the_systems_directories_that_it_lacks_behind_its_own() {
        for (path, expected) in [
            ("/usr/bin:/bin", Some("/usr/bin:/bin:/usr/sbin:/sbin")),
            ("/sbin:/bin", Some("/sbin:/bin:/usr/sbin")),
            ("/usr/sbin:/sbin:/bin", None),
            ("/opt/usr/sbin", Some("/opt/usr/sbin:/usr/sbin:/sbin")),
        ] {
            let found = completed(OsStr::new(path));
            assert_eq!(found, expected.map(OsString::from), "{path}");
            assert_eq!(found.and_then(|path| completed(&path)), None);
        }
    }

    #[test]
    fn lines_come_one_by_one_and_the_status_is_the_commands() {
        let mut seen = Vec::new();
        let status = lines(
            Command::new("sh").args(["-c", "echo a; echo b; exit 1"]),
            |line| seen.push(line.to_owned()),
        );
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(status.expect("sh runs").code(), Some(1));
    }

    #[test]
    fn lines_of_both_streams_are_told_apart() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = lines_of_both(
            Command::new("sh").args(["-c", "echo a; echo b >&2; echo c; echo d >&2; exit 1"]),
            |line| out.push(line.to_owned()),
            |line| err.push(line.to_owned()),
        );
        assert_eq!([out, err], [["a", "c"], ["b", "d"]]);
        assert_eq!(status.expect("sh runs").code(), Some(1));
    }
}
