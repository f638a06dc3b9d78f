//! `cargo xtask bench`: what the agent costs, as ratios to a reference that is measured in the same run.
//!
//! It measures the agent as shipped, with its programs attached, on a node without uplink. Figures of one machine say
//! little; a ratio of two that took turns says more. Whoever shares the machine should be idle.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use bpf2iam_support::{
    Options,
    stage::{Programs, Stage},
};
use clap::ValueEnum;
use rustix::process::geteuid;

use crate::{build, cx::Cx, install, profile::Profile, programs, say};

mod agent;
mod cluster;
mod connect;
mod credentials;
mod decision;
mod figure;
mod inside;
mod kubernetes;
mod lifetime;
mod load;
mod memory;

use agent::Agent;
use figure::Figure;
use load::{Ask, Rest};

/// What the node is set up and asked with.
const NEEDS: [install::Package; 2] = [install::CURL, install::IPROUTE2];

/// What to measure, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure [default: all of it]
    what: Vec<What>,
    /// Fail if a figure is not what is wanted, also if it depends on the machine
    #[arg(long)]
    check: bool,
    /// How often the agent and its reference take turns
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn takes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many connections there are at a time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How much the agent logs: at info, a line for each request
    #[arg(long, default_value = "info")]
    log_level: String,
    /// Measure this agent instead of one that is built for it
    #[arg(long)]
    agent: Option<PathBuf>,
    #[command(flatten)]
    kubernetes: kubernetes::Args,
    #[command(flatten)]
    lifetime: lifetime::Args,
}

/// Something to measure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Resident memory of the idle agent
    Memory,
    /// Tokens, warm credentials and an SDK's whole sequence over new connections, against a bare hyper server; what a warm
    /// answer takes; a node's pods bound all at once
    Credentials,
    /// A connect that has nothing to do with the agent, with its programs and without
    Connect,
    /// Which role a pod may have, against the reading of an ARN
    Decision,
    /// A large cluster whose pods come and go: memory, requests to its API server, how soon a role is known
    Kubernetes,
    /// The agent upgraded, killed and removed while clients connect as fast as they can; how soon it is ready
    Lifetime,
}

/// Measures, prints, and judges if asked to.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "only root can: sudo -E env \"PATH=$PATH\" cargo xtask bench"
    );
    install::debian(cx, &NEEDS)?;
    let Built {
        programs,
        bare_server,
        cluster,
        answer,
        decide,
    } = build(cx, args)?;
    let stage = Stage::set(programs, Options::default(), &[])?;
    let mut figures = warm(&stage, &bare_server, args)?;
    if let Some(answer) = answer {
        figures.extend(credentials::answer::measure(&answer)?);
    }
    if args.wants(What::Credentials) {
        figures.extend(credentials::burst::measure(&stage, &cluster)?);
    }
    if args.wants(What::Connect) {
        figures.extend(connect::measure(&stage, args)?);
    }
    if let Some(decide) = decide {
        figures.extend([decision::measure(&decide)?]);
    }
    if args.wants(What::Kubernetes) {
        figures.extend(kubernetes::measure(&stage, &cluster, args)?);
    }
    if args.wants(What::Lifetime) {
        figures.extend(lifetime::measure(stage.programs(), args.lifetime)?);
    }
    judge(&figures, args)
}

/// What a pod asks of an agent that has its keys.
const ASKS: [Ask; 4] = [
    Ask::Credentials,
    Ask::Token,
    Ask::Sdk(Rest::Pause),
    Ask::Sdk(Rest::None),
];

/// What one agent shows that has all keys of its pods.
fn warm(stage: &Stage, bare_server: &Path, args: &Args) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if !(args.wants(What::Memory) || args.wants(What::Credentials)) {
        return Ok(figures);
    }
    let mut agent = Agent::start(stage, &["--log-level", &args.log_level])?;
    memory::add_pods(stage, memory::PODS)?;
    let pod = stage.add_pod_with_role(credentials::ROLE, credentials::ROLE)?;
    if args.wants(What::Memory) {
        figures.extend([memory::measure(&mut agent)?]);
    }
    if args.wants(What::Credentials) {
        for ask in ASKS {
            let servers = (&agent, bare_server);
            let bench = credentials::Bench::new(stage, &pod, servers, (ask, args))?;
            figures.extend(bench.measure(args)?);
        }
        say::note(format!(
            "after that, the agent: {}",
            memory::Memory::of(agent.pid())?
        ));
    }
    agent.stop()?;
    Ok(figures)
}

impl Args {
    fn wants(&self, what: What) -> bool {
        self.what.is_empty() || self.what.contains(&what)
    }
}

/// What runs.
struct Built {
    programs: Programs,
    bare_server: PathBuf,
    cluster: PathBuf,
    /// If they are wanted.
    answer: Option<PathBuf>,
    decide: Option<PathBuf>,
}

/// Builds everything that runs, as it is shipped.
fn build(cx: &Cx, args: &Args) -> Result<Built> {
    let (agent, object) = if let Some(agent) = &args.agent {
        (agent.clone(), None)
    } else {
        let built = build::all(cx, Profile::Release)?;
        (built.agent, Some(built.object))
    };
    let inside = |what, name| {
        let program = args.wants(what);
        let program = program.then(|| inside::build(cx, object.as_deref(), name));
        program.transpose()
    };
    let answer = inside(What::Credentials, "answer")?;
    let decide = inside(What::Decision, "decide")?;
    let built = programs::around(agent, cx, Profile::Release, &["bpf2iam-bench"])?;
    Ok(Built {
        bare_server: built.program("bare-server"),
        cluster: built.program("bench-cluster"),
        programs: built.programs,
        answer,
        decide,
    })
}

/// Says whether each figure is what is wanted.
fn judge(figures: &[Figure], args: &Args) -> Result<()> {
    say::step("figures");
    for figure in figures {
        say::line(figure.to_string());
    }
    let missed = figures.iter().filter(|figure| !figure.holds());
    let missed: Vec<_> = missed
        .filter(|figure| args.check || !figure.depends_on_the_machine())
        .map(|figure| figure.name)
        .collect();
    ensure!(missed.is_empty(), "not as wanted: {}", missed.join("; "));
    Ok(())
}
