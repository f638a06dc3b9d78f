//! The programs of other languages, such as `go` and `node`: the first that is new enough is taken, wherever it came
//! from.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{cx::Cx, exec, install};

/// Where Go's own archive is unpacked to, which `PATH` may not name.
pub(crate) const GO_ARCHIVE: &str = "/usr/local/go/bin/go";

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

/// A program that has to be new enough.
pub(crate) struct Runtime {
    /// What people call it.
    pub(crate) name: &'static str,
    /// The program.
    pub(crate) program: &'static str,
    /// What makes it say its version.
    pub(crate) says: &'static str,
    /// The oldest that will do.
    pub(crate) oldest: Version,
    /// Where else it may be: `PATH` may name another before it, or not at all.
    pub(crate) elsewhere: &'static [&'static str],
    /// Debian's package, which is installed where there is none.
    pub(crate) package: Option<&'static str>,
    /// What for, and where it comes from.
    pub(crate) advice: &'static str,
}

impl Runtime {
    /// Where it is.
    pub(crate) fn find(&self, cx: &Cx) -> Result<PathBuf> {
        let found = self.look();
        let (Err(_), Some(package)) = (&found, self.package) else {
            return found;
        };
        install::debian(cx, &[install::Package::missing(package)])?;
        self.look()
    }

    /// The first that is new enough.
    fn look(&self) -> Result<PathBuf> {
        let elsewhere = self.elsewhere.iter().map(PathBuf::from);
        let mut seen = Vec::new();
        for program in exec::find(self.program).into_iter().chain(elsewhere) {
            let Some(version) = self.version_of(&program) else {
                continue;
            };
            if version >= self.oldest {
                return Ok(program);
            }
            seen.push(format!("{} is {version}", program.display()));
        }
        bail!("{}", self.complaint(&seen))
    }

    fn complaint(&self, seen: &[String]) -> String {
        let Self {
            name,
            oldest,
            elsewhere,
            advice,
            ..
        } = self;
        let elsewhere: Vec<_> = elsewhere
            .iter()
            .map(|place| format!(" or as {place}"))
            .collect();
        let elsewhere = elsewhere.concat();
        let found = if seen.is_empty() {
            "there is none".to_owned()
        } else {
            seen.join(", ")
        };
        format!("{name} {oldest} or newer is needed on PATH{elsewhere}: {found}\n  {advice}")
    }

    /// Asked where no project can make it another version.
    fn version_of(&self, program: &Path) -> Option<Version> {
        let said = exec::capture(Command::new(program).arg(self.says).current_dir("/"));
        Version::find(&said.ok()?)
    }
}

impl Version {
    /// The first in a text such as `go version go1.26.8 linux/amd64`, `v20.20.2` or `openjdk 17.0.15 2025-04-15`.
    pub(crate) fn find<'said>(said: &'said str) -> Option<Self> {
        let bare = |word: &'said str| {
            ["go", "v"]
                .iter()
                .find_map(|prefix| word.strip_prefix(prefix))
        };
        let words = said.split_whitespace();
        let version = words
            .map(|word| bare(word).unwrap_or(word))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = version.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse().ok());
        Some(Self([next()?, next().unwrap_or(0), next().unwrap_or(0)]))
    }
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
    use crate::cx::Install;

    fn shell(oldest: Version) -> Runtime {
        Runtime {
            name: "Shell",
            program: "sh",
            says: "--version",
            oldest,
            elsewhere: &["/opt/sh"],
            package: None,
            advice: "see its makers",
        }
    }

    #[test]
    fn a_version_is_found_in_what_each_program_says() {
        for (said, expected) in [
            ("go version go1.19.8 linux/amd64", Some([1, 19, 8])),
            ("go version go1.26 linux/amd64", Some([1, 26, 0])),
            (
                "go version go1.26.10 X:nodwarf5 linux/amd64",
                Some([1, 26, 10]),
            ),
            ("go version go1.27rc1 linux/amd64", Some([1, 27, 0])),
            (
                "go version devel go1.28-0a1b2c linux/amd64",
                Some([1, 28, 0]),
            ),
            ("v20.20.2\n", Some([20, 20, 2])),
            (
                "openjdk 17.0.15 2025-04-15\nOpenJDK Runtime",
                Some([17, 0, 15]),
            ),
            ("openjdk 21 2023-09-19", Some([21, 0, 0])),
            ("go version", None),
            ("", None),
            ("gopher go v", None),
        ] {
            assert_eq!(Version::find(said), expected.map(Version), "{said:?}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Version([1, 26, 10]) > Version([1, 26, 6]));
        assert!(Version([1, 26, 0]) < Version([1, 26, 6]));
        assert!(Version([1, 9, 9]) < Version([1, 26, 6]));
    }

    /// Where nothing may be installed.
    fn forbidding() -> Cx {
        Cx {
            root: "/".into(),
            cache: "/nowhere".into(),
            install: Install::Forbidden,
        }
    }

    #[test]
    fn what_is_nowhere_is_an_error_that_says_what_is_there() {
        let nowhere = Runtime {
            program: "no-such-program-anywhere",
            ..shell(Version([1, 2, 3]))
        };
        let error = nowhere.find(&forbidding()).expect_err("it is nowhere");
        assert_eq!(
            error.to_string(),
            "Shell 1.2.3 or newer is needed on PATH or as /opt/sh: there is none\n  see its makers"
        );
        let old = nowhere.complaint(&["/usr/bin/sh is 1.1.9".to_owned()]);
        assert!(old.contains(": /usr/bin/sh is 1.1.9\n"), "{old}");
    }

    #[test]
    fn where_it_may_be_installed_its_package_is_named() {
        let nowhere = Runtime {
            program: "no-such-program-anywhere",
            package: Some("a-shell"),
            ..shell(Version([1, 2, 3]))
        };
        let error = nowhere
            .find(&forbidding())
            .expect_err("it is nowhere")
            .to_string();
        assert!(
            error.contains("missing Debian packages: a-shell"),
            "{error}"
        );
    }
}
