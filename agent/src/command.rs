//! The commands beside `run`: those that look, whom they ask and what; and the one that removes what is left.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};

use crate::{
    args::{Cgroups, Doctor, Explain, Output, Ready, Status, Uninstall},
    cgroup,
    clock::Clock,
    config::{self, Machine},
    control,
    doctor::{self, Settings, Verdict},
    explain::{Explanation, Question},
    pods::{binding::Policy, offline::Manifests},
    redirect::{Lock, pins},
    terminal::{self, Colour},
    trial,
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

/// Checks this node, and shows what is to be done.
pub async fn doctor(args: Doctor) -> anyhow::Result<Verdict> {
    let output = args.output;
    let settings = Settings::new(args, &Machine::observe())?;
    let report = doctor::examine(settings).await;
    print(&match output {
        Output::Json => report.to_json()?,
        Output::Text => report.to_text(Colour::of(&io::stdout())),
    })?;
    Ok(report.verdict())
}

/// Ends well when the agent is ready.
pub async fn ready(args: &Ready) -> anyhow::Result<()> {
    let status = control::Client::new(&args.runtime.dir).status().await?;
    if status.pending.is_empty() {
        return print("ready\n");
    }
    bail!("not ready: waiting for {}", status.pending.join(", "))
}

/// Takes away what agents have left on this node. Not while one serves: it would be back, or its pods without keys.
pub fn uninstall(args: &Uninstall) -> anyhow::Result<()> {
    let root = config::pin_dir(&args.pin_dir.path)?;
    let (pinned, leftovers) = (pins::list(&root)?, leftovers(args)?);
    if !args.dry_run {
        remove(&root, &leftovers)?;
    }
    let what = if args.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let lines = pinned
        .iter()
        .chain(&leftovers.files)
        .chain(&leftovers.cgroups)
        .map(|path| format!("{what} {}\n", path.display()));
    let page: String = lines.collect();
    if page.is_empty() {
        return print(&format!("nothing is pinned at {}\n", root.display()));
    }
    print(&page)
}

/// What agents have left that is not pinned.
#[derive(Debug)]
struct Leftovers {
    /// In the runtime directory, and that itself.
    files: Vec<PathBuf>,
    /// Of an agent that was killed while it started.
    cgroups: Vec<PathBuf>,
}

fn leftovers(args: &Uninstall) -> anyhow::Result<Leftovers> {
    Ok(Leftovers {
        files: control::leftovers(&args.runtime.dir),
        cgroups: throwaways(&args.cgroups)?,
    })
}

/// The cgroups that an agent has left which was killed while it started.
fn throwaways(args: &Cgroups) -> anyhow::Result<Vec<PathBuf>> {
    let given = config::kubepods(args)?;
    // Where there are no pods, there are none of these.
    let Ok((_open, root)) = cgroup::open_root(&args.root) else {
        return Ok(Vec::new());
    };
    let kubepods = cgroup::find_kubepods(&root, given.as_deref());
    Ok(kubepods
        .ok()
        .flatten()
        .map_or_else(Vec::new, |path| trial::left(&path)))
}

/// Removes the pins below `root`, and `leftovers`.
fn remove(root: &Path, leftovers: &Leftovers) -> anyhow::Result<()> {
    let _nobody_starts = root.exists().then(|| free(root)).transpose()?;
    pins::remove(root)?;
    leftovers.cgroups.iter().for_each(trial::remove);
    leftovers.files.iter().try_for_each(|path| {
        let removed = control::remove_leftover(path);
        removed.with_context(|| format!("cannot remove {}", path.display()))
    })
}

/// Makes sure that no agent of any version lives, and that none starts meanwhile.
fn free(root: &Path) -> anyhow::Result<Lock> {
    let lock = |dir: &Path| {
        let lock = Lock::try_take(dir);
        lock.with_context(|| format!("cannot lock {}", dir.display()))
    };
    let starting = lock(root)?.context("an agent is starting on this node; end it first")?;
    for version in pins::versions(root)? {
        lock(&root.join(version.to_string()))?.context(
            "an agent serves this node; end it first (delete its DaemonSet, or stop its service), and what it leaves can \
             be removed",
        )?;
    }
    Ok(starting)
}

fn print(page: &str) -> anyhow::Result<()> {
    terminal::print(page).context("cannot write to standard output")
}
