//! Running other programs: shown before they run, and an error that names the command when they fail.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::say;

/// Where administrators' programs are, which an ordinary user's `PATH` may not name.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/sbin"];

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
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    say::note(format!("$ {}", shown(command)));
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot run `{}`", shown(command)))?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    for line in BufReader::new(stdout).split(b'\n') {
        each(&String::from_utf8_lossy(&line?));
    }
    Ok(child.wait()?)
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

/// Where a program is, by `PATH` and the system's directories.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRS.map(PathBuf::from))
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
    fn lines_come_one_by_one_and_the_status_is_the_commands() {
        let mut seen = Vec::new();
        let status = lines(
            Command::new("sh").args(["-c", "echo a; echo b; exit 1"]),
            |line| seen.push(line.to_owned()),
        );
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(status.expect("sh runs").code(), Some(1));
    }
}
