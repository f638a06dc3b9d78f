//! Calling cargo from below `cargo run`, whose environment would otherwise leak into the inner call.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cx::Cx, exec};

/// What says which toolchain runs and how it compiles: nothing of that holds for another toolchain.
const TOOLCHAIN: [&str; 12] = [
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_TOOLCHAIN_SOURCE",
    "RUST_RECURSION_COUNT",
    "RUSTC_BOOTSTRAP",
];

/// The cargo that runs this program, in the root of the workspace.
pub(crate) fn host(cx: &Cx) -> Command {
    in_workspace(cx, env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that works with the host's toolchain, in the root of the workspace.
pub(crate) fn in_workspace(cx: &Cx, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    forget_package(&mut command);
    command.current_dir(&cx.root);
    command
}

/// A program of another toolchain, which must learn nothing of the one that runs this program.
pub(crate) fn foreign(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    forget_package(&mut command);
    for name in TOOLCHAIN {
        command.env_remove(name);
    }
    command
}

/// Builds, and returns where the binary is that came out.
pub(crate) fn binary(build: &mut Command, name: &str) -> Result<PathBuf> {
    let mut found = None;
    build.arg("--message-format=json-render-diagnostics");
    let status = exec::lines(build, |line| {
        found = executable(line, name).or_else(|| found.take());
    })?;
    exec::succeeded(build, status)?;
    found.with_context(|| format!("cargo built no binary named {name}"))
}

/// The manifests of all members.
pub(crate) fn members(cx: &Cx) -> Result<Vec<PathBuf>> {
    let text = exec::capture(host(cx).args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let Some(packages) = metadata["packages"].as_array() else {
        bail!("cargo metadata names no packages")
    };
    Ok(packages
        .iter()
        .filter_map(|package| package["manifest_path"].as_str())
        .map(PathBuf::from)
        .collect())
}

/// The path of the named binary, if this line of cargo's messages is about it.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["target"]["name"] != name {
        return None;
    }
    Some(Path::new(message["executable"].as_str()?).to_owned())
}

/// Removes what cargo tells a program about its package.
fn forget_package(command: &mut Command) {
    for name in env::vars_os()
        .map(|(name, _)| name)
        .filter(describes_package)
    {
        command.env_remove(name);
    }
}

fn describes_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARTIFACT: &str = r#"{"reason":"compiler-artifact","target":{"name":"thing","kind":["bin"]},"executable":"/t/thing"}"#;
    const LIBRARY: &str = r#"{"reason":"compiler-artifact","target":{"name":"thing","kind":["lib"]},"executable":null}"#;

    #[test]
    fn only_the_named_binary_is_taken_from_cargos_messages() {
        for (line, name, expected) in [
            (ARTIFACT, "thing", Some("/t/thing")),
            (ARTIFACT, "other", None),
            (LIBRARY, "thing", None),
            ("not json", "thing", None),
            ("", "thing", None),
        ] {
            assert_eq!(
                executable(line, name),
                expected.map(PathBuf::from),
                "{line}"
            );
        }
    }

    #[test]
    fn another_toolchain_hears_nothing_of_this_one() {
        let command = foreign("rustc");
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "LD_LIBRARY_PATH",
        ] {
            assert!(removed.contains(&OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_the_user_set_for_cargo_stays() {
        for (name, leaks) in [
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_CRATE_NAME", true),
            ("CARGO_HOME", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_TERM_COLOR", false),
        ] {
            assert_eq!(describes_package(&name.into()), leaks, "{name}");
        }
    }
}
