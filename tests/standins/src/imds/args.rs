//! The command line of `imds-standin`.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

use crate::{clock::Clock, listen::Address};

use super::{Config, Effect, Instance, Rule, TokenPolicy};

/// A stand-in for the EC2 instance metadata service. Whatever is secret in it contains AKIDNODE.
#[derive(Clone, Debug, Parser)]
#[command(name = "imds-standin", version)]
pub struct Args {
    /// Where to listen; may be given several times
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,

    /// Where to be asked and told, as JSON over HTTP: GET and DELETE /requests, GET /counts, GET, PUT and DELETE /rules,
    /// GET /leaves, PUT and DELETE /leaves/PATH, DELETE /tokens
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    control: Option<Address>,

    /// Whether requests without an IMDSv2 token are answered
    #[arg(long, value_enum, default_value_t)]
    tokens: TokenPolicy,

    /// The node's role
    #[arg(long, value_name = "NAME", default_value = "node-role")]
    role: String,

    /// An instance without a role
    #[arg(long, conflicts_with = "role")]
    no_role: bool,

    /// The node's account
    #[arg(long, value_name = "DIGITS", default_value = "123456789012")]
    account: String,

    /// The node's Region
    #[arg(long, value_name = "REGION", default_value = "eu-west-1")]
    region: String,

    /// The node's instance id
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// How long the keys of the node's role live, such as 6h or 90s; new ones come at half of it
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = crate::clock::length)]
    session_duration: Duration,

    /// One more leaf below a version, such as `meta-data/spot/termination-time=2026-01-02T03:04:05Z`; may be given
    /// several times
    #[arg(long, value_name = "PATH=TEXT", value_parser = parse_leaf)]
    leaf: Vec<(String, String)>,

    /// Every answer comes later, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = crate::clock::length)]
    latency: Option<Duration>,

    /// There are no tokens: PUT is answered with this status
    #[arg(long, value_name = "STATUS")]
    no_tokens: Option<u16>,

    /// Any other rule, such as {"times":1,"do":"hang"}; may be given several times. What it may do: latency, pass,
    /// refuse-tokens, status, redirect, astray, empty, garbage, noise, oversized, length, chunked, cut, slow, close, reset, hang
    #[arg(long, value_name = "JSON", value_parser = parse_rule)]
    rule: Vec<Rule>,
}

fn parse_rule(text: &str) -> Result<Rule, serde_json::Error> {
    serde_json::from_str(text)
}

fn parse_leaf(text: &str) -> Result<(String, String), &'static str> {
    let (path, text) = text.split_once('=').ok_or("no =")?;
    Ok((path.to_owned(), text.to_owned()))
}

impl Args {
    fn rules(&self) -> Vec<Rule> {
        let latency = self.latency.map(Effect::Latency).map(Rule::always);
        let no_tokens = self.no_tokens.map(Rule::no_tokens);
        let flags = latency.into_iter().chain(no_tokens);
        flags.chain(self.rule.iter().cloned()).collect()
    }
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        let rules = args.rules();
        let default = Instance::default();
        let instance = Instance {
            role: (!args.no_role).then_some(args.role),
            account: args.account,
            region: args.region,
            id: args.instance_id.unwrap_or(default.id),
            ..Instance::default()
        };
        Self {
            listen: args.listen,
            control: args.control,
            tokens: args.tokens,
            instance,
            leaves: args.leaf.into_iter().collect(),
            rules,
            session: args.session_duration,
            clock: Clock::system(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        let all = [&["imds-standin"], args].concat();
        Args::try_parse_from(all).map(Config::from)
    }

    #[test]
    fn flags_become_the_configuration() {
        let config = parse(&[
            "--listen",
            "127.0.0.1:80",
            "--listen",
            "[::1]:80",
            "--control",
            "unix:/c.sock",
            "--tokens",
            "required",
            "--role",
            "other",
            "--region",
            "us-east-1",
            "--session-duration",
            "90s",
            "--latency=5ms",
            "--no-tokens=405",
            "--leaf=meta-data/spot/termination-time=soon=now",
            r#"--rule={"times":1,"do":"hang"}"#,
        ])
        .unwrap();
        let rules = [
            Rule::always(Effect::Latency(Duration::from_millis(5))),
            Rule::no_tokens(405),
            Rule::always(Effect::Hang).times(1),
        ];
        assert_eq!(config.rules, rules);
        assert_eq!(config.leaves["meta-data/spot/termination-time"], "soon=now");
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.control, Some(Address::Unix("/c.sock".into())));
        assert_eq!(config.tokens, TokenPolicy::Required);
        assert_eq!(config.instance.role.as_deref(), Some("other"));
        assert_eq!(config.instance.region, "us-east-1");
        assert_eq!(config.session, Duration::from_secs(90));
    }

    #[test]
    fn the_role_can_be_left_out() {
        let config = parse(&["--listen", "127.0.0.1:80", "--no-role"]).unwrap();
        assert_eq!(config.instance.role, None);
    }

    #[test]
    fn wrong_usage_is_refused() {
        let listen = "--listen=127.0.0.1:0";
        for args in [
            &[][..],
            &["--listen", "localhost"],
            &[listen, "--tokens", "never"],
            &[listen, "--role", "r", "--no-role"],
            &[listen, "--session-duration", "soon"],
            &[listen, "--control", "/run/c.sock"],
            &[listen, "--leaf", "user-data"],
            &[listen, "--no-tokens", "never"],
            &[listen, "--rule", "{}"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
