//! The Go toolchain that builds Kubernetes. Debian's is too old, and nothing here installs another.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::exec;

/// The oldest that the modules of the cluster accept.
const OLDEST: Version = Version([1, 26, 6]);
/// Where Go's own archive is unpacked to, which `PATH` may not name.
const CUSTOMARY: &str = "/usr/local/go/bin/go";

/// A version of Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

/// The directory with a `go` that is new enough.
pub(super) fn directory() -> Result<PathBuf> {
    let mut seen = Vec::new();
    for go in [exec::find("go"), Some(CUSTOMARY.into())]
        .into_iter()
        .flatten()
    {
        let Some(version) = version_of(&go) else {
            continue;
        };
        if let (true, Some(directory)) = (version >= OLDEST, go.parent()) {
            return Ok(directory.to_owned());
        }
        seen.push(format!("{} is {version}", go.display()));
    }
    bail!("{}", advice(&seen))
}

fn advice(seen: &[String]) -> String {
    let found = if seen.is_empty() {
        "there is none".to_owned()
    } else {
        seen.join(", ")
    };
    format!(
        "Go {OLDEST} or newer is needed on PATH or in /usr/local/go, to build Kubernetes: {found}\n  \
         see https://go.dev/doc/install"
    )
}

/// Asked where no project can make it another version.
fn version_of(go: &Path) -> Option<Version> {
    let said = exec::capture(Command::new(go).arg("version").current_dir("/")).ok()?;
    parse(&said)
}

/// From `go version go1.26.8 linux/amd64`.
fn parse(said: &str) -> Option<Version> {
    let version = said
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("go"))
        .find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    Some(Version([next()?, next()?, next().unwrap_or(0)]))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_go_and_what_is_no_go_are_refused() {
        for (said, expected) in [
            ("go version go1.19.8 linux/amd64", Some(false)),
            ("go version go1.26 linux/amd64", Some(false)),
            ("go version go1.26.5 linux/arm64", Some(false)),
            ("go version go1.26.6 linux/amd64", Some(true)),
            ("go version go1.26.10 X:nodwarf5 linux/amd64", Some(true)),
            ("go version go1.27rc1 linux/amd64", Some(true)),
            ("go version devel go1.28-0a1b2c linux/amd64", Some(true)),
            ("go version", None),
            ("", None),
            ("gopher go", None),
        ] {
            let new_enough = parse(said).map(|version| version >= OLDEST);
            assert_eq!(new_enough, expected, "{said:?}");
        }
    }

    #[test]
    fn the_advice_says_what_is_there() {
        let none = advice(&[]);
        assert!(none.starts_with("Go 1.26.6 or newer"), "{none}");
        assert!(none.contains("there is none"), "{none}");
        let old = advice(&["/usr/bin/go is 1.19.8".to_owned()]);
        assert!(old.contains(": /usr/bin/go is 1.19.8\n"), "{old}");
    }
}
