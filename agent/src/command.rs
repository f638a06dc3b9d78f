//! The commands that look: what they ask, and whom.

use std::{io, path::Path, sync::Arc};

use anyhow::Context as _;

use crate::{
    args::{Explain, Output, Status},
    clock::Clock,
    config, control,
    explain::{Explanation, Question},
    pods::{binding::Policy, offline::Manifests},
    terminal::{self, Colour},
};

/// Shows how the agent is.
pub async fn status(args: &Status) -> anyhow::Result<()> {
    let status = control::Client::new(&args.runtime.dir).status().await?;
    print(&match args.output {
        Output::Json => status.to_json()?,
        Output::Text => status.to_text(Clock::system().now(), Colour::of(&io::stdout())),
    })
}

/// Shows why a pod has its role: asks the agent, or manifests.
pub async fn explain(args: &Explain) -> anyhow::Result<()> {
    let question = args.question();
    let explanation = if let Some(dir) = &args.pods {
        let policy = config::offline_policy(&args.roles, &args.sessions, &args.access)?;
        explain_offline(dir, &question, &policy)?
    } else {
        let client = control::Client::new(&args.runtime.dir);
        client.explain(&question).await?
    };
    print(&match args.output {
        Output::Json => explanation.to_json()?,
        Output::Text => explanation.to_text(Clock::system().now(), Colour::of(&io::stdout())),
    })
}

fn explain_offline(
    dir: &Path,
    question: &Question,
    policy: &Policy,
) -> anyhow::Result<Explanation> {
    let manifests = Manifests::read(dir, &policy.keys)?;
    for error in manifests.errors() {
        terminal::warn(&error);
    }
    let subject = manifests.pod(&question.pod()).with_context(|| {
        let (pod, dir) = (question.pod(), dir.display());
        format!("there is no manifest of the pod {pod} in {dir}, or it says that the pod has ended")
    })?;
    let account = question.service_account();
    let account =
        account.map(|name| Arc::clone(manifests.service_account(&question.namespace, name)));
    let supposed = question.suppose(subject, account, &policy.keys);
    let words = question.in_words();
    Ok(Explanation::new(&supposed, words, policy, |_| None))
}

fn print(page: &str) -> anyhow::Result<()> {
    terminal::print(page).context("cannot write to standard output")
}
