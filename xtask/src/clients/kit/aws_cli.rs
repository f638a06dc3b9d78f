//! The AWS CLI v2, which is no package of Python's: Debian's, in the system. Version 1 is in the virtual environment.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{
    cx::Cx,
    exec,
    install::{self, Package},
};

use super::sources::QUIET;

/// Where Debian puts it, and where `with_aws_cli.sh` runs it: by `PATH` there may be another.
const PROGRAM: &str = "/usr/bin/aws";

/// Sees to it that it is there.
pub(super) fn ensure(cx: &Cx) -> Result<()> {
    install::debian(cx, &[Package::file("awscli", PROGRAM)])?;
    let said = exec::capture(Command::new(PROGRAM).arg("--version").envs(QUIET))?;
    ensure!(
        said.starts_with("aws-cli/2."),
        "{PROGRAM} is another: {said}"
    );
    Ok(())
}
