//! A cluster to measure the agent with: an API server that knows many objects, and changes them when told to.
//!
//! It is told by lines of JSON on its standard input, `{"number": 1, "do": ...}`, and answers each with a line that begins
//! with the same number: `1 done ANSWER` or `1 failed WHY`. What takes its time goes on beside the rest.

mod bind;
mod churn;
mod cluster;
mod objects;
mod order;
mod probe;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    rc::Rc,
};

use anyhow::{Context as _, Result};
use bpf2iam_standins::apiserver::{ApiServer, Config};
use clap::Parser;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    task::LocalSet,
};

use self::{
    cluster::{Cluster, Size},
    order::{Numbered, Order},
};

#[derive(Parser)]
#[command(about = "An API server with many objects that change when told to")]
struct Args {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The node whose agent is measured
    #[arg(long)]
    node: String,
    /// What is put before the names of roles
    #[arg(long)]
    base_arn: String,
    #[command(flatten)]
    size: Size,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let api = ApiServer::start(Config {
        listen: vec![args.listen],
        ..Config::default()
    })?;
    let cluster = Rc::new(Cluster::new(api, args.node, args.base_arn, args.size));
    cluster.fill()?;
    writeln!(io::stdout(), "bench-cluster ready on {}", args.listen)?;
    LocalSet::new().run_until(listen(cluster)).await
}

/// Carries out orders until nobody gives any.
async fn listen(cluster: Rc<Cluster>) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Numbered { number, r#do } =
            serde_json::from_str(&line).with_context(|| line.clone())?;
        let cluster = Rc::clone(&cluster);
        tokio::task::spawn_local(async move {
            let answer = match carry_out(&cluster, r#do).await {
                Ok(answer) => format!("done {answer}"),
                Err(error) => format!("failed {error:#}"),
            };
            // Whoever asked may have gone.
            let _said = writeln!(io::stdout(), "{number} {answer}").is_ok();
        });
    }
    Ok(())
}

async fn carry_out(cluster: &Cluster, order: Order) -> Result<Value> {
    Ok(match order {
        Order::Put(object) => {
            cluster.api().put(object)?;
            Value::Null
        }
        Order::Start => {
            cluster.start_residents()?;
            Value::Null
        }
        Order::Bind(order) => serde_json::to_value(bind::run(cluster, &order).await?)?,
        Order::Churn(order) => serde_json::to_value(churn::run(cluster, &order).await?)?,
        Order::Probe(order) => serde_json::to_value(probe::run(cluster, &order).await?)?,
        Order::Requests => serde_json::to_value(cluster.api().requests().entries())?,
        Order::Forget => {
            cluster.api().requests().clear();
            Value::Null
        }
        Order::Roles => serde_json::to_value(cluster.roles())?,
    })
}
