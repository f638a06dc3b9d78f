//! The command line, as it is typed. What it means is decided in [`config`](crate::config).
//!
//! Every flag of `run` has an environment variable `BPF2IAM_<FLAG>`, and kube2iam's whole command line is understood. All
//! names are a contract with scripts and charts.

mod cgroups;
mod doctor;
mod explain;
mod go;
mod kube2iam;
mod lifetime;
mod metadata;
mod netns;
mod ready;
mod run;
mod sessions;
mod status;
mod trial;
mod uninstall;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, error::ErrorKind,
};

pub use cgroups::Cgroups;
pub use doctor::Doctor;
pub use explain::Explain;
pub use go::Switch;
pub use kube2iam::Kube2iam;
pub use lifetime::{Lifetime, PinDir};
pub use metadata::{Access, Metadata};
pub use netns::NetnsDir;
pub use ready::Ready;
pub use run::{Kubernetes, Log, Roles, Run};
pub use sessions::Sessions;
pub use status::Status;
pub use trial::Trial;
pub use uninstall::Uninstall;

/// Gives each Kubernetes pod its own AWS credentials through the instance metadata address.
#[derive(Debug, Parser)]
#[command(name = "bpf2iam", version, propagate_version = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent of this node
    Run(Box<Run>),
    /// Show what is attached, each pod with its role, and counters
    Status(Status),
    /// Show why a pod has its role, rule by rule, and what it would have otherwise
    Explain(Box<Explain>),
    /// Check this node from the kernel up, and say what to do
    Doctor(Doctor),
    /// Ask whether the agent of this node is ready: for probes
    Ready(Ready),
    /// Take away everything that agents have left on this node, also those that crashed and those of other versions
    Uninstall(Uninstall),
    /// Connect as a pod would: the agent starts it
    #[command(hide = true)]
    Trial(Trial),
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For programs.
    Json,
    /// For people.
    Text,
}

/// What the agent and the commands that ask it have in common.
#[derive(Debug, clap::Args)]
pub struct Runtime {
    /// Directory of the control socket
    #[arg(
        long = "runtime-dir",
        env = "BPF2IAM_RUNTIME_DIR",
        value_name = "DIR",
        default_value = "/run/bpf2iam"
    )]
    pub dir: PathBuf,
}

impl Args {
    /// Understands a command line, the program's name included.
    pub fn of(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line: Vec<_> = line.into_iter().collect();
        let mut command = Self::command();
        let matches = command
            .try_get_matches_from_mut(&line)
            .map_err(|error| without_run(line.get(1)).unwrap_or(error))?;
        if let Some(("explain", matches)) = matches.subcommand() {
            explain::check(matches, &mut command)?;
        }
        Self::from_arg_matches(&matches)
    }
}

/// What to say where `first` is a flag of `run`: kube2iam's command line begins with its flags. What follows is not
/// repeated, as it may be secret.
fn without_run(first: Option<&OsString>) -> Option<clap::Error> {
    let flag = first?.to_str()?.strip_prefix("--")?;
    let flag = flag.split_once('=').map_or(flag, |(flag, _value)| flag);
    let mut args = Args::command();
    let run = args.find_subcommand("run")?;
    let known = run.get_arguments().any(|arg| {
        arg.get_long() == Some(flag) || arg.get_all_aliases().unwrap_or_default().contains(&flag)
    });
    let message = format!(
        "--{flag} is a flag of `bpf2iam run`; write `run` before all flags, as in `bpf2iam run \
         --{flag}`"
    );
    known.then(|| args.error(ErrorKind::MissingSubcommand, message))
}

#[cfg(test)]
mod tests;
