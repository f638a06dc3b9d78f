//! Programs of the node that tell what is in the firewall.
//!
//! A node may have a hundred thousand rules: what a program prints is read as it comes, and only so much of it.

use std::{
    io::{self, BufReader, ErrorKind, Read, Take},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::chain::one_line;

/// How long one may take. `iptables-save` waits for others that change tables.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);
/// How much one may print: a rule is some hundred bytes.
const MOST: u64 = 256 << 20;
/// How much of what it complains of is heard.
const COMPLAINT: u64 = 16 << 10;

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
    #[error("{0} has not ended in time")]
    Late(&'static str),
    /// It fails.
    #[error("{0} fails: {1}")]
    Fails(&'static str, String),
    /// It prints something else.
    #[error("{0} does not print what is known of it")]
    Odd(&'static str),
}

/// What a tool prints, as it comes.
pub(super) type Printed = BufReader<Take<ChildStdout>>;

/// Runs tools, all of them until the same moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tools {
    until: Instant,
}

impl Tools {
    /// All of them together may take so long.
    pub(super) fn within(patience: Duration) -> Self {
        Self {
            until: Instant::now() + patience,
        }
    }

    /// What `read` makes of what `tool` prints.
    pub(super) fn read<T: Send + 'static>(
        self,
        tool: &'static str,
        args: &[&str],
        read: impl FnOnce(Printed) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let mut child = start(tool, args)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // Each on a thread of its own: a full pipe keeps a program from its end.
        let printed = stdout.map(|stdout| {
            let printed = BufReader::new(stdout.take(MOST));
            thread::spawn(move || read(printed))
        });
        let complaint = stderr.map(|stderr| thread::spawn(move || said(stderr)));
        let late = self.until.min(Instant::now() + PATIENCE);
        let status = end(&mut child, late).map_err(|error| Error::Run(tool, error))?;
        let status = status.ok_or(Error::Late(tool))?;
        let printed = printed.and_then(|thread| thread.join().ok());
        let complaint = complaint.and_then(|thread| thread.join().ok());
        if !status.success() {
            return Err(failure(tool, status, &complaint.unwrap_or_default()));
        }
        let printed = printed.and_then(Result::ok);
        printed.ok_or(Error::Odd(tool))
    }

    /// Whether `tool` is there and belongs to `backend`. It says so itself.
    pub(super) fn is_of(self, tool: &'static str, backend: Backend) -> bool {
        let word = match backend {
            Backend::Legacy => "legacy",
            Backend::Nft => "nf_tables",
        };
        let version = self.read(tool, &["--version"], io::read_to_string);
        version.is_ok_and(|said| said.contains(word))
    }
}

fn start(tool: &'static str, args: &[&str]) -> Result<Child, Error> {
    let mut command = Command::new(tool);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Error::None(tool)
        } else {
            Error::Run(tool, error)
        }
    })
}

/// The beginning of what it says. The rest is read, too, or it would not end.
fn said(mut stream: impl Read) -> String {
    let mut beginning = Vec::new();
    let _cut = stream.by_ref().take(COMPLAINT).read_to_end(&mut beginning);
    let _rest = io::copy(&mut stream, &mut io::sink());
    String::from_utf8_lossy(&beginning).into_owned()
}

fn failure(tool: &'static str, status: ExitStatus, complaint: &str) -> Error {
    let said = [one_line(complaint), status.to_string()];
    let line = said.into_iter().find(|line| !line.is_empty());
    Error::Fails(tool, line.unwrap_or_default())
}

/// Waits for its end, and makes it end if it takes too long.
fn end(child: &mut Child, late: Instant) -> io::Result<Option<ExitStatus>> {
    while Instant::now() < late {
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

    fn run(tools: Tools, tool: &'static str, args: &[&str]) -> Result<String, Error> {
        tools.read(tool, args, io::read_to_string)
    }

    #[test]
    fn a_tool_is_heard_and_its_failure_told() {
        let tools = Tools::within(Duration::from_mins(1));
        assert_eq!(run(tools, "sh", &["-c", "echo rules"]).unwrap(), "rules\n");
        for (args, says) in [
            (&["-c", "echo why >&2; exit 4"][..], "sh fails: why"),
            (&["-c", "exit 4"], "sh fails: exit status: 4"),
            (&["-c", "exec sleep 60"], "sh has not ended in time"),
            (
                &["-c", "echo why >&2; head -c 300000 /dev/zero >&2; exit 4"],
                "sh fails: why",
            ),
            (
                &["-c", r"printf '\377'"],
                "sh does not print what is known of it",
            ),
        ] {
            let error = run(tools, "sh", args).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
        let none = run(tools, "bpf2iam-no-such-tool", &[]).unwrap_err();
        assert_eq!(none.to_string(), "no bpf2iam-no-such-tool here");
        // More than a pipe holds.
        let much = "head -c 300000 /dev/zero | tr '\\0' x";
        let much = run(tools, "sh", &["-c", much]).unwrap();
        assert_eq!(much.len(), 300_000);
        assert!(!tools.is_of("sh", Backend::Nft));
    }

    #[test]
    fn all_of_them_end_at_the_same_moment() {
        let (start, tools) = (Instant::now(), Tools::within(Duration::from_millis(100)));
        for _ in 0..3 {
            let late = run(tools, "sh", &["-c", "exec sleep 60"]).unwrap_err();
            assert!(matches!(late, Error::Late("sh")), "{late}");
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
}
