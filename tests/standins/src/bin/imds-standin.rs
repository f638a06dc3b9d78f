//! A stand-in for the EC2 instance metadata service, for use by hand and in demonstrations.

use bpf2iam_standins::{
    imds::{Args, Imds},
    program,
};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let imds = Imds::start(Args::parse().into())?;
    program::run("imds-standin", imds.addrs(), imds.control()).await?;
    Ok(())
}
