//! The commands: those that look, whom they ask and what; and the way to the others.

mod agent;
mod uninstall;

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;

use crate::{
    args::{Command, Doctor, Explain, Output, Ready, Status},
    clock::Clock,
    config::{self, Machine},
    control,
    doctor::{self, Settings, Verdict},
    explain::{Explanation, Question},
    pods::{binding::Policy, offline::Manifests},
    runtime,
    terminal::{self, Colour},
    trial,
};

/// How a command ended that has said all there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Well,
    /// With a problem of the node's, or in the agent's log.
    Badly,
}

/// Does what was typed.
pub fn run(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Run(args) => agent::run(*args),
        Command::Doctor(args) => block_on(runtime::command(), doctor(args)),
        Command::Status(args) => look(status(&args)),
        Command::Explain(args) => look(explain(&args)),
        Command::Ready(args) => look(ready(&args)),
        Command::Uninstall(args) => uninstall::uninstall(&args).map(|()| Ended::Well),
        Command::Trial(args) => trial::be_a_pod(&args.cgroup, args.address).map(|()| Ended::Well),
    }
}

fn look(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Ended> {
    block_on(runtime::command(), command).map(|()| Ended::Well)
}

/// Shows how the agent is.
async fn status(args: &Status) -> anyhow::Result<()> {
    let status = control::Client::new(&args.runtime.dir).status().await?;
    print(&match args.output {
        Output::Json => status.to_json()?,
        Output::Text => status.to_text(Clock::system().now(), Colour::of(&io::stdout())),
    })
}

/// Shows why a pod has its role: asks the agent, or manifests.
async fn explain(args: &Explain) -> anyhow::Result<()> {
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

/// Checks this node, and shows what is to be done.
async fn doctor(args: Doctor) -> anyhow::Result<Ended> {
    let output = args.output;
    let settings = Settings::new(args, &Machine::observe())?;
    let report = doctor::examine(settings).await;
    print(&match output {
        Output::Json => report.to_json()?,
        Output::Text => report.to_text(Colour::of(&io::stdout())),
    })?;
    Ok(match report.verdict() {
        Verdict::Problem => Ended::Badly,
        Verdict::Ok | Verdict::Warning => Ended::Well,
    })
}

/// Ends well when the agent is ready.
async fn ready(args: &Ready) -> anyhow::Result<()> {
    let status = control::Client::new(&args.runtime.dir).status().await?;
    if status.pending.is_empty() {
        return print("ready\n");
    }
    bail!("not ready: waiting for {}", status.pending.join(", "))
}

/// Does `work` on `runtime`.
fn block_on<T>(
    runtime: io::Result<Runtime>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = runtime.context("cannot start threads")?;
    let ended = runtime.block_on(work);
    // A thread may wait for a plugin of a kubeconfig that hangs.
    runtime.shutdown_background();
    ended
}

fn print(page: &str) -> anyhow::Result<()> {
    terminal::print(page).context("cannot write to standard output")
}
