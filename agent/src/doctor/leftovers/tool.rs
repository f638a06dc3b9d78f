//! Programs of the node that tell what is in the firewall.

use std::{
    io::{self, ErrorKind, Read},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::chain::one_line;

/// How long one may take. `iptables-save` waits for others that change tables.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// Where the kernel keeps rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// In the tables of `ip_tables`.
    Legacy,
    /// In those of `nf_tables`.
    Nft,
}

/// Why it tells nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is not there.
    #[error("no {0} here")]
    None(&'static str),
    /// It does not run, or its output cannot be read.
    #[error("{0} does not run: {1}")]
    Run(&'static str, #[source] io::Error),
    /// It does not end.
    #[error("{tool} has not ended within {} s", PATIENCE.as_secs())]
    Late {
        /// Which.
        tool: &'static str,
    },
    /// It fails.
    #[error("{0} fails: {1}")]
    Fails(&'static str, String),
}

/// What `tool` prints.
pub(super) fn run(tool: &'static str, args: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(tool);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Error::None(tool)
        } else {
            Error::Run(tool, error)
        }
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let [stdout, stderr] = [read(stdout), read(stderr)];
    let status = end(&mut child).map_err(|error| Error::Run(tool, error))?;
    let status = status.ok_or(Error::Late { tool })?;
    let said = |thread: thread::JoinHandle<_>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (said(stdout), said(stderr));
    if status.success() {
        return Ok(stdout);
    }
    let said = [stderr, status.to_string()];
    let line = said
        .iter()
        .map(|text| one_line(text))
        .find(|line| !line.is_empty());
    Err(Error::Fails(tool, line.unwrap_or_default()))
}

/// Whether `tool` is there and belongs to `backend`. It says so itself.
pub(super) fn is_of(tool: &'static str, backend: Backend) -> bool {
    let word = match backend {
        Backend::Legacy => "legacy",
        Backend::Nft => "nf_tables",
    };
    run(tool, &["--version"]).is_ok_and(|said| said.contains(word))
}

/// Reads to the end, on a thread of its own: a full pipe keeps a program from its end.
fn read(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _cut = stream.map(|mut stream| stream.read_to_end(&mut all));
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// Waits for its end, and makes it end if it takes too long.
fn end(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_heard_and_its_failure_told() {
        assert_eq!(run("sh", &["-c", "echo rules"]).unwrap(), "rules\n");
        for (args, says) in [
            (&["-c", "echo why >&2; exit 4"][..], "sh fails: why"),
            (&["-c", "exit 4"], "sh fails: exit status: 4"),
            (&["-c", "exec sleep 60"], "sh has not ended within 3 s"),
        ] {
            let error = run("sh", args).unwrap_err().to_string();
            assert_eq!(error, says);
        }
        let none = run("bpf2iam-no-such-tool", &[]).unwrap_err();
        assert_eq!(none.to_string(), "no bpf2iam-no-such-tool here");
        // More than a pipe holds.
        let much = run("sh", &["-c", "head -c 300000 /dev/zero | tr '\\0' x"]).unwrap();
        assert_eq!(much.len(), 300_000);
        assert!(!is_of("sh", Backend::Nft));
    }
}
