//! The flags of `explain`.

use std::path::PathBuf;

use crate::explain::{Question, Supposition};

use super::{Output, Roles, Runtime};

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
    #[arg(long, value_name = "NAME")]
    pub service_account: Option<String>,

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
}

impl Explain {
    /// What is asked.
    pub fn question(&self) -> Question {
        let account = self.service_account.clone();
        let role = self.role.clone();
        let suppositions = self.annotations.iter().cloned();
        Question {
            suppositions: suppositions
                .chain(account.map(Supposition::ServiceAccount))
                .chain(role.map(Supposition::Role))
                .collect(),
            ..self.pod.clone()
        }
    }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("file:") {
        Some(dir) if !dir.is_empty() => Ok(dir.into()),
        Some(_) | None => {
            Err("only a directory, file:DIR; without it the agent is asked".to_owned())
        }
    }
}
