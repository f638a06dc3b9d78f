//! `cargo xtask image`: the agent's image, without a container engine.
//!
//! What is in the image is written by [`root`], for `deploy/Dockerfile` too; how it is run says the last stage of that file.
//! So the two cannot differ. The same input gives the same bytes, and so the same digest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{build, cx::Cx, profile::Profile, say};

mod licences;
mod name;
mod oci;
mod recipe;
mod root;
mod tree;

pub(crate) use name::Name;

/// The most that the image may take on a node's disk: a node pulls it before any pod has credentials.
const MAX_SIZE: u64 = 40_000_000;

/// What to make of the image.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the archive goes; target/image/bpf2iam.oci.tar if not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A name of the image in the archive; may be repeated
    #[arg(long = "tag", value_name = "NAME:TAG", default_value = concat!("bpf2iam:", env!("CARGO_PKG_VERSION")))]
    tags: Vec<Name>,
    /// Write the root directory of the image, which must not exist yet, and no archive
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "tags"])]
    root: Option<PathBuf>,
}

/// Builds the agent as it is shipped, and the image, or its root directory alone.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    if let Some(dir) = &args.root {
        return root::write(cx, &agent(cx)?, dir);
    }
    let place = archive(cx, &args.tags, args.output.as_deref())?;
    say::line(format!("archive   {}", place.display()));
    Ok(())
}

/// Builds the agent as it is shipped, and the image under these names. Returns the archive, which is at `output` if that is
/// given.
pub(crate) fn archive(cx: &Cx, names: &[Name], output: Option<&Path>) -> Result<PathBuf> {
    let recipe = recipe::read(cx)?;
    let agent = agent(cx)?;
    say::step("make the image");
    let home = cx.target_dir().join("image");
    // Whatever else is beside them stays: the archive of another run, with other names.
    let parts = home.join("parts");
    remove(&parts)?;
    let root = parts.join("root");
    root::write(cx, &agent, &root)?;
    let place = output.map_or_else(|| home.join("bpf2iam.oci.tar"), Path::to_owned);
    let image = oci::write(&root, &recipe, names, &parts, &place)?;
    for name in names {
        say::line(format!("image     {name}"));
    }
    say::line(format!("digest    {}", image.digest));
    say::line(format!(
        "size      {} unpacked, {} in a registry",
        megabytes(image.unpacked),
        megabytes(image.compressed)
    ));
    ensure!(
        image.unpacked <= MAX_SIZE,
        "the image has {}, at most {}",
        megabytes(image.unpacked),
        megabytes(MAX_SIZE)
    );
    Ok(place)
}

fn agent(cx: &Cx) -> Result<PathBuf> {
    Ok(build::all(cx, Profile::Release)?.agent)
}

/// Removes what an earlier run has made.
fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
