//! Licences, bans and sources of the dependencies, by the rules in `deny.toml`.

use anyhow::Result;

use crate::{cache::Tool, cargo, cx::Cx, exec};

/// Not optimised: the check takes two seconds all the same, and the build a quarter of the time.
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    flavour: "",
    args: &[
        "--no-default-features",
        "--debug",
        "--config",
        "profile.dev.debug=false",
    ],
};

/// Checks what can be checked without a network.
pub(super) fn check(cx: &Cx) -> Result<()> {
    cargo_deny(cx, &["licenses", "bans", "sources"])
}

/// Checks the dependencies against the advisory database.
pub(super) fn advisories(cx: &Cx) -> Result<()> {
    cargo_deny(cx, &["advisories"])
}

fn cargo_deny(cx: &Cx, which: &[&str]) -> Result<()> {
    let program = CARGO_DENY.ensure(cx, &[])?;
    let mut deny = cargo::in_workspace(cx, program);
    exec::run(
        deny.args(["--locked", "check", "--hide-inclusion-graph"])
            .args(which),
    )
}
