//! A stand-in for the Kubernetes API server, for tests of programs, benchmarks, and use by hand.

use bpf2iam_standins::{
    apiserver::{ApiServer, Args},
    program,
};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let server = ApiServer::start(Args::parse().into())?;
    program::run("apiserver-standin", server.addrs(), server.control()).await?;
    Ok(())
}
