//! The flags of `explain`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args as _, Command, error::ErrorKind, parser::ValueSource};

use crate::explain::{Question, Supposition};

use super::{Access, Output, Roles, Runtime, Sessions};

/// Which pod to explain, and what to suppose.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub struct Explain {
    /// The pod
    #[arg(value_name = "NAMESPACE/POD")]
    pub pod: Question,

    /// Suppose that the pod has this annotation, or with KEY- does not (repeated)
    #[arg(
        long = "annotation",
        value_name = "KEY=VALUE|KEY-",
        value_parser = Supposition::annotation
    )]
    pub annotations: Vec<Supposition>,

    /// Suppose that the pod runs as this ServiceAccount of its namespace
    #[arg(long, value_name = "NAME", value_parser = Supposition::service_account)]
    pub service_account: Option<Supposition>,

    /// Suppose that the pod's annotation names this role
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Explain by a directory of manifests, without an agent; the flags below are then those of `run`
    #[arg(long, value_name = "file:DIR", value_parser = directory)]
    pub pods: Option<PathBuf>,

    /// Text for people, or JSON for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,

    /// Where the control socket is.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Which pod may have which role, without an agent.
    #[command(flatten)]
    pub roles: Roles,

    /// What is said of their sessions, without an agent.
    #[command(flatten)]
    pub sessions: Sessions,

    /// What pods see of the metadata service, without an agent.
    #[command(flatten)]
    pub access: Access,
}

impl Explain {
    /// What is asked.
    pub fn question(&self) -> Question {
        let account = self.service_account.clone();
        let role = self.role.clone();
        let suppositions = self.annotations.iter().cloned();
        Question {
            suppositions: suppositions
                .chain(account)
                .chain(role.map(Supposition::Role))
                .collect(),
            ..self.pod.clone()
        }
    }
}

/// Refuses flags that nobody looks at: an agent that is asked decides by its own. Variables do no harm: in the agent's
/// container they are the agent's.
pub(super) fn check(matches: &ArgMatches, command: &mut Command) -> Result<(), clap::Error> {
    if matches.get_one::<PathBuf>("pods").is_some() {
        return Ok(());
    }
    let operators = Sessions::augment_args(Roles::augment_args(Command::default()));
    let operators = Access::augment_args(operators);
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut ignored = operators
        .get_arguments()
        .filter(|arg| typed(arg.get_id().as_str()));
    let Some(flag) = ignored.next().and_then(Arg::get_long) else {
        return Ok(());
    };
    let message = format!(
        "--{flag} is the agent's to know, which is asked; give --pods file:DIR as well to explain without an agent"
    );
    Err(command.error(ErrorKind::ArgumentConflict, message))
}

fn directory(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("file:") {
        Some(dir) if !dir.is_empty() => Ok(dir.into()),
        Some(_) | None => {
            Err("only a directory, file:DIR; without it the agent is asked".to_owned())
        }
    }
}
