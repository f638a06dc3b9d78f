//! A fuzz target: its directories, a run, and what is kept of it.

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{build::Programs, figures::Figures};
use crate::{cx::Cx, exec, say};

/// What holds for every run. An input that takes seconds is a finding: answers are a matter of microseconds.
const BOUNDS: [&str; 4] = [
    "-max_len=4096",
    "-timeout=10",
    "-rss_limit_mb=2048",
    "-print_funcs=0",
];

/// What is kept are few inputs and short ones, as every clone has all of them: one for each place that is reached, however
/// often an input comes there.
const KEPT: [&str; 3] = ["-set_cover_merge=1", "-use_counters=0", "-max_len=512"];

/// Something that is fuzzed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// What a request asks for, and what of it may be asked of the real service
    Route,
    /// What counts as a session token
    Token,
    /// What counts as the head of a request
    Head,
    /// What namespaces' annotations and the real service's listings let pods see
    Metadata,
}

impl Target {
    /// Its name everywhere.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Token => "token",
            Self::Head => "head",
            Self::Metadata => "metadata",
        }
    }

    /// Where it has what; directories that runs write to are made.
    pub(super) fn places(self, cx: &Cx, programs: &Programs) -> Result<Places> {
        let source = cx.root.join("tests/fuzz");
        let output = cx.target_dir().join("fuzz");
        let places = Places {
            program: programs.of(self.as_str()),
            words: source.join("words").join(self.as_str()),
            seeds: source.join("seeds").join(self.as_str()),
            corpus: source.join("corpus").join(self.as_str()),
            found: output.join("found").join(self.as_str()),
            findings: output.join("findings").join(self.as_str()),
        };
        for dir in [&places.corpus, &places.found, &places.findings] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        Ok(places)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A target's files.
pub(super) struct Places {
    program: PathBuf,
    /// What inputs are made of.
    words: PathBuf,
    /// Inputs written by hand.
    seeds: PathBuf,
    /// Inputs that were kept: what they reach, no seed does.
    corpus: PathBuf,
    /// Inputs of the runs in this target directory.
    found: PathBuf,
    /// Inputs that break the property.
    findings: PathBuf,
}

impl Places {
    /// Fuzzes for so long.
    pub(super) fn run(&self, seconds: u32) -> Result<Figures> {
        let mut fuzz = self.program();
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-dict={}", self.words.display()))
            .args([&self.found, &self.seeds, &self.corpus]);
        let mut figures = Figures::default();
        let status = exec::lines_of_both(
            &mut fuzz,
            |line| say::line(line),
            |line| {
                figures.read(line);
                if !is_chatter(line) {
                    say::note(line);
                }
            },
        )?;
        if !status.success() {
            bail!(
                "{status}: {} breaks it, run {} with it",
                self.newest_finding().display(),
                self.program.display()
            );
        }
        Ok(figures)
    }

    /// Puts into the corpus the fewest inputs that reach what the seeds do not, and nothing else.
    pub(super) fn keep(&self) -> Result<()> {
        let merged = self.found.with_extension("merged");
        refill(&merged, &self.seeds)?;
        let mut merge = self.program();
        merge.args(KEPT).args([&merged, &self.corpus, &self.found]);
        exec::lines_of_both(&mut merge, |_| {}, |_| {})
            .and_then(|status| exec::succeeded(&merge, status))?;
        for seed in names(&self.seeds)? {
            fs::remove_file(merged.join(seed)).context("cannot tell seeds from what is new")?;
        }
        refill(&self.corpus, &merged)?;
        refill(&self.found, &merged)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(&self.program);
        program
            .args(BOUNDS)
            .arg(format!("-artifact_prefix={}/", self.findings.display()))
            // One static of two crates is no error in Rust.
            .env("ASAN_OPTIONS", "detect_odr_violation=0");
        program
    }

    fn newest_finding(&self) -> PathBuf {
        let files = fs::read_dir(&self.findings).into_iter().flatten().flatten();
        let newest = files.max_by_key(|file| file.metadata().and_then(|file| file.modified()).ok());
        newest.map_or_else(|| self.findings.clone(), |file| file.path())
    }
}

/// Whether this only says that one more input was found, or which words would have been good to know.
fn is_chatter(line: &str) -> bool {
    line.starts_with('"')
        || line.starts_with('#') && !["INITED", "DONE"].iter().any(|word| line.contains(word))
}

/// Empties a directory and copies the files of another into it.
fn refill(dir: &Path, from: &Path) -> Result<()> {
    let fill = || -> io::Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        for name in names(from)? {
            fs::copy(from.join(&name), dir.join(&name))?;
        }
        Ok(())
    };
    fill().with_context(|| format!("cannot copy {} to {}", from.display(), dir.display()))
}

/// The names of the files in a directory.
fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(dir)?
        .map(|file| Ok(file?.file_name()))
        .collect()
}
