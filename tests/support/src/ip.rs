//! iproute2's `ip`, which sets up the network.
//!
//! `ip -n NAME` is used, and never `ip netns exec`: the latter gives a process another /sys, in which there
//! is neither a cgroup nor a BPF file system.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;

/// Makes a network namespace under /run/netns.
pub(crate) fn add_namespace(name: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(["netns", "add", name]);
    succeed(ip.output(), &format!("ip netns add {name}")).map(drop)
}

/// Carries out `lines` in the namespace `name`, up to the first that fails.
pub(crate) fn batch(name: &str, lines: &[String]) -> Result<()> {
    let mut ip = Command::new("ip")
        .args(["-n", name, "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("ip does not start; it is in the package iproute2")?;
    if let Some(mut stdin) = ip.stdin.take() {
        // When `ip` ends early, what it says tells more than the broken pipe.
        let _broken = stdin.write_all((lines.join("\n") + "\n").as_bytes()).err();
    }
    let what = format!("ip -n {name} -batch, with\n{}", lines.join("\n"));
    succeed(ip.wait_with_output(), &what).map(drop)
}

/// What `ip -n NAME -json ARGS` says.
pub(crate) fn query<T: DeserializeOwned>(name: &str, args: &[&str]) -> Result<Vec<T>> {
    let what = format!("ip -n {name} -json {}", args.join(" "));
    let mut ip = Command::new("ip");
    ip.args(["-n", name, "-json"]).args(args);
    let output = succeed(ip.output(), &what)?;
    if output.stdout.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the answer of {what}"))
}

fn succeed(output: std::io::Result<Output>, what: &str) -> Result<Output> {
    let output = output.with_context(|| format!("{what} does not start (package iproute2)"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what}\nfailed: {}", said.trim());
    Ok(output)
}
