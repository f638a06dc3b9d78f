//! Says what STS calls it for each line that it reads, with one client for all of them, as a program that runs for
//! long. What the SDK logs is in the file that the first argument names.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{env, fs::File, io};

use anyhow::{Context as _, Result};
use aws_sdk_sts::{Client, error::DisplayErrorContext};
use tracing_subscriber::filter::LevelFilter;

// Between two lines nothing is to be done: the thread may wait for the next.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let log = env::args_os().nth(1).context("which file to log to?")?;
    tracing_subscriber::fmt()
        .with_writer(File::create(log)?)
        .with_max_level(LevelFilter::DEBUG)
        .with_ansi(false)
        .without_time()
        .init();
    let client = Client::new(&bpf2iam_aws_config_client::config().await);
    for line in io::stdin().lines() {
        let said = match client.get_caller_identity().send().await {
            Ok(caller) => caller.arn().unwrap_or("failed: nobody").to_owned(),
            Err(error) => format!("failed: {}", DisplayErrorContext(error)),
        };
        println!("{} {said}", line?);
    }
    Ok(())
}
