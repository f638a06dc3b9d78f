//! `cargo xtask test`: the tests, tier by tier.

use std::{ffi::OsStr, path::PathBuf};

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

/// Names an agent of another ABI to the kernel tier.
const OTHER_AGENT: &str = "BPF2IAM_OTHER_BIN";

const NOT_ROOT: &str = "only root can: sudo -E env \"PATH=$PATH\" cargo xtask test";

/// Which tests to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

const UNIT: Tier = Tier {
    name: "unit",
    packages: "--workspace --exclude=bpf2iam-api --exclude=bpf2iam-e2e --exclude=bpf2iam-it --exclude=bpf2iam-kernel",
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
    let ready = ready.map(|(built, _)| built);
    let mut outcomes = vec![
        (UNIT.name, UNIT.run(cx, &args.filter, ready)),
        (IT.name, IT.run(cx, &args.filter, ready)),
    ];
    let kernel = match built {
        Some(Ok((built, other))) => {
            let other = [(OsStr::new(OTHER_AGENT), other.as_os_str())];
            KERNEL.run_in(cx, &args.filter, Some(&built), &other)
        }
        Some(Err(error)) => Outcome::Failed(error),
        None => Outcome::Skipped(NOT_ROOT),
    };
    outcomes.push((KERNEL.name, kernel));
    tier::summary(&outcomes, &args.filter)
}

/// Gets what the kernel tier needs: an agent, and another one of another ABI. This comes before every tier, so that all of
/// them build the agent with the same object, and build it once.
fn prepare_kernel(cx: &Cx) -> Result<(Built, PathBuf)> {
    install::debian(cx, &KERNEL_NEEDS)?;
    let other = build::next_abi(cx)?;
    let built = build::all(cx, Profile::Dev)?;
    programs::around(built.agent.clone(), cx, Profile::Dev, &[])?;
    Ok((built, other))
}
