//! `cargo xtask test`: the tests, tier by tier.

use anyhow::Result;

use crate::{
    build::{self, Built},
    cx::Cx,
    install,
    profile::Profile,
    programs, say,
    tier::{self, Outcome, Tier},
};

/// What the kernel tier sets up its node with, and looks at it with.
const KERNEL_NEEDS: [install::Package; 5] = [
    install::BPFTOOL,
    install::CURL,
    install::IPROUTE2,
    install::IPTABLES,
    install::NFTABLES,
];

const NOT_ROOT: &str = "only root can: sudo -E env \"PATH=$PATH\" cargo xtask test";

/// Which tests to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

const UNIT: Tier = Tier {
    name: "unit",
    packages: "--workspace --exclude=bpf2iam-api --exclude=bpf2iam-it --exclude=bpf2iam-kernel",
};
const IT: Tier = Tier {
    name: "it",
    packages: "--package=bpf2iam-it",
};
const KERNEL: Tier = Tier {
    name: "kernel",
    packages: "--package=bpf2iam-kernel",
};

/// Runs every tier, whatever the earlier ones said.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    let built = rustix::process::geteuid()
        .is_root()
        .then(|| prepare_kernel(cx).inspect_err(say::error));
    let ready = built.as_ref().and_then(|built| built.as_ref().ok());
    let mut outcomes = vec![
        (UNIT.name, UNIT.run(cx, &args.filter, ready)),
        (IT.name, IT.run(cx, &args.filter, ready)),
    ];
    let kernel = match built {
        Some(Ok(built)) => KERNEL.run(cx, &args.filter, Some(&built)),
        Some(Err(error)) => Outcome::Failed(error),
        None => Outcome::Skipped(NOT_ROOT),
    };
    outcomes.push((KERNEL.name, kernel));
    tier::summary(&outcomes, &args.filter)
}

/// Gets what the kernel tier needs. This comes before every tier, so that all of them build the agent with the same
/// object, and build it once.
fn prepare_kernel(cx: &Cx) -> Result<Built> {
    install::debian(cx, &KERNEL_NEEDS)?;
    let built = build::all(cx, Profile::Dev)?;
    programs::around(built.agent.clone(), cx, Profile::Dev, &[])?;
    Ok(built)
}
