//! The command line of `sts-standin`.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

use crate::{
    clock::{Clock, length},
    listen::Address,
};

use super::{Bucket, Code, Config, Effect, KeySource, Node, Rule, Trust, UnknownKeys};

/// A stand-in for STS, over plain HTTP.
#[derive(Clone, Debug, Parser)]
#[command(name = "sts-standin", version)]
pub struct Args {
    /// Where to listen; may be given several times
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,

    /// Where to be asked and told, as JSON over HTTP: GET and DELETE /calls, GET /counts, GET /issued[/KEY],
    /// GET, PUT and DELETE /rules
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    control: Option<Address>,

    /// The account of the node, whose access keys start with AKIDNODE
    #[arg(long, value_name = "DIGITS", default_value = "123456789012")]
    account: String,

    /// The role of the node
    #[arg(long, value_name = "NAME", default_value = "node-role")]
    role: String,

    /// Whether access keys that nobody knows are refused, or taken for the node's
    #[arg(long, value_enum, default_value_t)]
    unknown_keys: UnknownKeys,

    /// The only Region that calls may be signed for
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// The audience that web identities must be for
    #[arg(long, value_name = "NAME", default_value = "sts.amazonaws.com")]
    audience: String,

    /// The keys that web identities must be signed with, as a JSON Web Key Set; read again for each call
    #[arg(long, value_name = "URL|FILE|JSON")]
    jwks: Option<KeySource>,

    /// The only issuer of web identities
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,

    /// Who may assume a role with a web identity, such as `ROLE_ARN=system:serviceaccount:shop:*`; may be given
    /// several times. A role that is not named is for everybody
    #[arg(long, value_name = "ROLE_ARN=SUBJECT")]
    trust: Vec<Trust>,

    /// How far the date of a signature may be from ours
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = length)]
    max_skew: Duration,

    /// The longest session that a role gives
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = length)]
    max_session_duration: Duration,

    /// Every answer comes later, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = length)]
    latency: Option<Duration>,

    /// Every session is as short as this, whatever is asked for
    #[arg(long, value_name = "TIME", value_parser = length)]
    session_duration: Option<Duration>,

    /// Throttle the next CALLS calls, or all
    #[arg(long, value_name = "CALLS", num_args = 0..=1, require_equals = true)]
    #[expect(
        clippy::option_option,
        reason = "clap's way to tell a flag from a flag with a value"
    )]
    throttle: Option<Option<u32>>,

    /// So many calls a second, and so many at once; others are throttled
    #[arg(long, value_name = "RATE/BURST")]
    rate_limit: Option<Bucket>,

    /// Refuse this role; may be given several times
    #[arg(long, value_name = "ROLE_ARN")]
    deny: Vec<String>,

    /// Any other rule, such as {"times":1,"do":{"fault":"hang"}}; may be given several times. What it may do: latency,
    /// session, token, clock, max-session, no-tag-session, throttle, fault
    #[arg(long, value_name = "JSON", value_parser = parse_rule)]
    rule: Vec<Rule>,
}

fn parse_rule(text: &str) -> Result<Rule, serde_json::Error> {
    serde_json::from_str(text)
}

impl Args {
    fn rules(&self) -> Vec<Rule> {
        let latency = self.latency.map(Effect::Latency).map(Rule::always);
        let session = self.session_duration.map(Effect::Session).map(Rule::always);
        let throttle = self.throttle.map(|times| Rule {
            times,
            ..Rule::error(Code::Throttling)
        });
        let limit = self.rate_limit.map(Effect::Throttle).map(Rule::always);
        let deny = self.deny.iter();
        let deny = deny.map(|role| Rule::error(Code::AccessDenied).for_role(role));
        let flags = latency.into_iter().chain(session).chain(throttle);
        let flags = flags.chain(limit);
        flags.chain(deny).chain(self.rule.iter().cloned()).collect()
    }
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        Self {
            rules: args.rules(),
            listen: args.listen,
            control: args.control,
            node: Node {
                account: args.account,
                role: args.role,
                ..Node::default()
            },
            unknown_keys: args.unknown_keys,
            region: args.region,
            audience: args.audience,
            keys: args.jwks,
            issuer: args.issuer,
            trust: args.trust,
            max_skew: args.max_skew,
            max_session: args.max_session_duration,
            clock: Clock::system(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/app";

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        let all = [&["sts-standin", "--listen", "127.0.0.1:0"], args].concat();
        Args::try_parse_from(all).map(Config::from)
    }

    #[test]
    fn flags_become_rules() {
        let hang = r#"{"times":1,"do":{"fault":"hang"}}"#;
        let latency = Rule::always(Effect::Latency(Duration::from_millis(200)));
        for (flags, rule) in [
            (&["--latency", "200ms"][..], latency),
            (
                &["--session-duration", "2s"],
                Rule::always(Effect::Session(Duration::from_secs(2))),
            ),
            (&["--throttle"], Rule::error(Code::Throttling)),
            (&["--throttle=3"], Rule::error(Code::Throttling).times(3)),
            (
                &["--rate-limit", "600/3"],
                Rule::always(Effect::Throttle("600/3".parse().unwrap())),
            ),
            (
                &["--deny", ROLE],
                Rule::error(Code::AccessDenied).for_role(ROLE),
            ),
            (&["--rule", hang], parse_rule(hang).unwrap()),
        ] {
            assert_eq!(parse(flags).unwrap().rules, [rule], "{flags:?}");
        }
    }

    #[test]
    fn without_flags_it_behaves() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.rules, []);
        assert_eq!(config.max_skew, Duration::from_mins(15));
        assert_eq!(config.unknown_keys, UnknownKeys::Refuse);
        assert_eq!(config.audience, "sts.amazonaws.com");
        assert!(config.keys.is_none() && config.trust.is_empty());
    }

    #[test]
    fn wrong_usage_is_refused() {
        for flags in [
            &["--latency", "soon"][..],
            &["--throttle=often"],
            &["--rate-limit", "600"],
            &["--rule", "{}"],
            &["--rule", r#"{"do":{"fault":"explode"}}"#],
            &["--unknown-keys", "maybe"],
            &["--control", "here"],
            &["--jwks", "https://127.0.0.1/openid/v1/jwks"],
            &["--jwks", "{}"],
            &["--trust", ROLE],
        ] {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
        assert!(Args::try_parse_from(["sts-standin"]).is_err());
    }
}
