//! `bpf-linker`, built from its sources against the system's LLVM and kept in the tool cache.

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::Result;

use crate::{cache::Tool, cx::Cx, install::Package};

/// The linker's LLVM. It reads the compiler's bitcode, so the compiler's LLVM must not be newer.
pub(super) const LLVM_MAJOR: u32 = 22;
/// What names another place than Debian's for that LLVM; llvm-sys reads it too.
const PREFIX_VARIABLE: &str = "LLVM_SYS_221_PREFIX";
/// Where Debian's llvm-22-dev is.
const DEBIAN_PREFIX: &str = "/usr/lib/llvm-22";
/// Debian's package of that LLVM with headers, and one of them.
const DEBIAN_PACKAGE: Package = Package::file(
    "llvm-22-dev",
    "/usr/lib/llvm-22/include/llvm/Config/llvm-config.h",
);

/// What to do where that LLVM is missing.
pub(super) const ADVICE: &str =
    "bpf-linker is built against LLVM 22: Debian's llvm-22-dev, or where LLVM_SYS_221_PREFIX says";

const LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "0.13.0",
    flavour: "llvm-22",
    args: &["--no-default-features", "--features", "llvm-22"],
};

/// Whether the linker is there and finds its LLVM.
pub(super) fn works(cx: &Cx) -> bool {
    LINKER.works(cx)
}

/// What building and running the linker needs, unless the user has named an LLVM.
pub(super) fn package() -> Option<Package> {
    env::var_os(PREFIX_VARIABLE)
        .is_none()
        .then_some(DEBIAN_PACKAGE)
}

/// Returns the linker; builds it where it is missing.
pub(super) fn ensure(cx: &Cx) -> Result<PathBuf> {
    let prefix = env::var_os(PREFIX_VARIABLE).unwrap_or_else(|| OsString::from(DEBIAN_PREFIX));
    LINKER.ensure(cx, &[(PREFIX_VARIABLE, &prefix), ("LLVM_PREFIX", &prefix)])
}
