//! Says who it is: the id of its access key, and what STS calls its bearer.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use anyhow::{Context as _, Result};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sts::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let config = bpf2iam_aws_config_client::config().await;
    let provider = config.credentials_provider().context("no provider")?;
    let keys = provider.provide_credentials().await?;
    let caller = Client::new(&config).get_caller_identity().send().await?;
    let arn = caller.arn().context("STS names nobody")?;
    println!("{} {arn}", keys.access_key_id());
    Ok(())
}
