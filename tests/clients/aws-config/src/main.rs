//! Says who it is: the id of its access key, and what STS calls its bearer. With `region` it says where the metadata
//! service puts it, with `refresh TIMES SECONDS` who it is so many times, with one client and with pauses between.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{env, time::Duration};

use anyhow::{Context as _, Result, bail};
use aws_sdk_sts::{Client, config::Builder};

mod signer;

use signer::Signer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => callers(1, Duration::ZERO).await,
        ["region"] => region().await,
        ["refresh", times, seconds] => {
            let pause = Duration::try_from_secs_f64(seconds.parse()?)?;
            callers(times.parse()?, pause).await
        }
        _ => bail!("neither region nor refresh TIMES SECONDS: {words:?}"),
    }
}

async fn callers(times: u32, pause: Duration) -> Result<()> {
    let config = bpf2iam_aws_config_client::config().await;
    let signer = Signer::default();
    let config = Builder::from(&config).interceptor(signer.clone()).build();
    let client = Client::from_conf(config);
    for number in 0..times {
        if number > 0 {
            tokio::time::sleep(pause).await;
        }
        let caller = client.get_caller_identity().send().await?;
        let arn = caller.arn().context("STS names nobody")?;
        println!("{} {arn}", signer.key()?);
    }
    Ok(())
}

async fn region() -> Result<()> {
    let config = bpf2iam_aws_config_client::config().await;
    println!("{}", config.region().context("no Region")?);
    Ok(())
}
