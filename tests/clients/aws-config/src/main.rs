//! Says who it is: the id of its access key, and what STS calls its bearer. Everything is found as the SDK finds it by
//! itself.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use anyhow::{Context as _, Result};
use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sts::Client;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .load()
        .await;
    let provider = config.credentials_provider().context("no provider")?;
    let keys = provider.provide_credentials().await?;
    let caller = Client::new(&config).get_caller_identity().send().await?;
    let arn = caller.arn().context("STS names nobody")?;
    println!("{} {arn}", keys.access_key_id());
    Ok(())
}
