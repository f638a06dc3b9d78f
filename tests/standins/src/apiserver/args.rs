//! The command line of `apiserver-standin`.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

use crate::{
    clock::{Clock, length},
    listen::Address,
};

use super::{Config, Rule, StreamingLists};

/// A stand-in for the Kubernetes API server, over plain HTTP. It begins without any object.
#[derive(Clone, Debug, Parser)]
#[command(name = "apiserver-standin", version)]
pub struct Args {
    /// Where to listen; may be given several times
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,

    /// Where to be asked and told, as JSON over HTTP: PUT and DELETE /objects (?quiet: no watch hears of it), GET, PATCH
    /// and DELETE /objects/PLURAL/[NAMESPACE/]NAME, GET and DELETE /requests, GET /counts, GET, PUT and DELETE /rules,
    /// PUT and DELETE /tokens, GET and POST /watches, POST /told, PUT /door, DELETE /history
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    control: Option<Address>,

    /// Whom every token stands for, in messages
    #[arg(
        long,
        value_name = "NAME",
        default_value = "system:serviceaccount:kube-system:bpf2iam"
    )]
    user: String,

    /// Who signs tokens, as they say it
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://kubernetes.default.svc.cluster.local"
    )]
    issuer: String,

    /// Tokens are not given for longer, such as 24h on EKS
    #[arg(long, value_name = "TIME", value_parser = length)]
    max_token_duration: Option<Duration>,

    /// Whether a watch may begin with what there is
    #[arg(long, value_enum, default_value_t)]
    streaming_lists: StreamingLists,

    /// How often a watch gets a bookmark
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = length)]
    bookmarks: Duration,

    /// From how many changes of a kind a watch can resume
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    history: usize,

    /// A rule, such as {"verb":"list","times":1,"do":{"status":{"code":503}}}; may be given several times
    #[arg(long, value_name = "JSON", value_parser = parse_rule)]
    rule: Vec<Rule>,
}

fn parse_rule(text: &str) -> Result<Rule, serde_json::Error> {
    serde_json::from_str(text)
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        Self {
            listen: args.listen,
            control: args.control,
            user: args.user,
            issuer: args.issuer,
            longest_token: args.max_token_duration,
            streaming_lists: args.streaming_lists,
            bookmarks: args.bookmarks,
            history: args.history,
            rules: args.rule,
            clock: Clock::system(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        let all = [&["apiserver-standin", "--listen", "127.0.0.1:0"], args].concat();
        Args::try_parse_from(all).map(Config::from)
    }

    #[test]
    fn without_flags_it_is_as_in_process() {
        let (flags, default) = (parse(&[]).unwrap(), Config::default());
        assert_eq!(format!("{flags:?}"), format!("{default:?}"));
    }

    #[test]
    fn flags_become_the_configuration() {
        let config = parse(&[
            "--streaming-lists",
            "refused",
            "--max-token-duration",
            "24h",
            "--bookmarks",
            "2s",
            "--rule",
            r#"{"do":"hang"}"#,
        ])
        .unwrap();
        assert_eq!(config.streaming_lists, StreamingLists::Refused);
        assert_eq!(config.longest_token, Some(Duration::from_hours(24)));
        assert_eq!(config.bookmarks, Duration::from_secs(2));
        assert_eq!(config.rules.len(), 1);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for flags in [
            &["--streaming-lists", "maybe"][..],
            &["--bookmarks", "often"],
            &["--history", "-1"],
            &["--rule", "{}"],
            &["--control", "here"],
        ] {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
        assert!(Args::try_parse_from(["apiserver-standin"]).is_err());
    }
}
