//! A stand-in for STS, for use by hand and in demonstrations.

use bpf2iam_standins::{
    program,
    sts::{Args, Sts},
};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let sts = Sts::start(Args::parse().into())?;
    program::run("sts-standin", sts.addrs(), sts.control()).await?;
    Ok(())
}
