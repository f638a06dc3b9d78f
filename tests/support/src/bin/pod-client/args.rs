//! The command line: `ATTEMPT [OPERAND] [--option value]... [--flag]...`.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use bpf2iam_support::addresses::METADATA_V4;

use crate::trouble::Trouble;

/// Options with a value.
const OPTIONS: [&str; 22] = [
    "--body",
    "--connects",
    "--cookie",
    "--count",
    "--cpu",
    "--device",
    "--expect",
    "--header",
    "--method",
    "--name",
    "--other",
    "--path",
    "--pause",
    "--port",
    "--proxy",
    "--seconds",
    "--socket",
    "--target",
    "--threads",
    "--to",
    "--uid",
    "--victim-ip",
];

/// Options without one.
const FLAGS: [&str; 2] = ["--sdk", "--token"];

/// What attempts ask for when nothing else is said: with the agent the pod's own role, without it the node's.
const ROLE_LIST: &str = "/latest/meta-data/iam/security-credentials/";

/// The command line.
#[derive(Debug)]
pub(crate) struct Args {
    words: Vec<String>,
    options: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Trouble> {
        let mut args = Self {
            words: Vec::new(),
            options: Vec::new(),
            flags: Vec::new(),
        };
        while let Some(word) = words.next() {
            if OPTIONS.contains(&word.as_str()) {
                let value = words.next();
                let value = value.ok_or_else(|| Trouble::Usage(format!("{word} needs a value")))?;
                args.options.push((word, value));
            } else if FLAGS.contains(&word.as_str()) {
                args.flags.push(word);
            } else if word.starts_with("--") {
                return Err(Trouble::Usage(format!("no option is called {word}")));
            } else {
                args.words.push(word);
            }
        }
        Ok(args)
    }

    /// The attempt's name.
    pub(crate) fn attempt(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// What follows it.
    pub(crate) fn operand(&self) -> Option<&str> {
        self.words.get(1).map(String::as_str)
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// Every value of an option.
    pub(crate) fn all<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        let given = self.options.iter().filter(move |(name, _)| name == option);
        given.map(|(_, value)| value.as_str())
    }

    /// The value of an option.
    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        let given = self.options.iter().find(|(name, _)| name == option);
        given.map(|(_, value)| value.as_str())
    }

    /// The value of an option that must be there.
    pub(crate) fn required<T: FromStr>(&self, option: &str) -> Result<T, Trouble> {
        self.optional(option)?
            .ok_or_else(|| Trouble::Usage(format!("{} needs {option}", self.attempt())))
    }

    /// The value of an option that may be there.
    pub(crate) fn optional<T: FromStr>(&self, option: &str) -> Result<Option<T>, Trouble> {
        let Some(text) = self.text(option) else {
            return Ok(None);
        };
        let value = text.parse().ok();
        let value = value.ok_or_else(|| Trouble::Usage(format!("{option} is wrong: {text}")))?;
        Ok(Some(value))
    }

    /// Whom to connect to: the metadata service, if nothing else is said.
    pub(crate) fn to(&self) -> Result<SocketAddr, Trouble> {
        self.to_or(METADATA_V4)
    }

    /// Whom to connect to: HTTP at `ip`, if nothing else is said.
    pub(crate) fn to_or(&self, ip: impl Into<IpAddr>) -> Result<SocketAddr, Trouble> {
        Ok(self.optional("--to")?.unwrap_or_else(|| (ip, 80).into()))
    }

    /// What to ask for.
    pub(crate) fn path(&self) -> &str {
        self.text("--path").unwrap_or(ROLE_LIST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, Trouble> {
        Args::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_line_has_an_attempt_an_operand_options_and_flags() {
        let args = parse("get /a --header A:1 --token --header B:2 --to [::1]:8").unwrap();
        assert_eq!((args.attempt(), args.operand()), ("get", Some("/a")));
        assert_eq!(args.all("--header").collect::<Vec<_>>(), ["A:1", "B:2"]);
        assert!(args.has("--token"));
        assert_eq!(args.to().unwrap(), "[::1]:8".parse().unwrap());
    }

    #[test]
    fn the_metadata_service_is_what_is_tried_by_default() {
        let args = parse("connect").unwrap();
        assert_eq!(args.to().unwrap(), "169.254.169.254:80".parse().unwrap());
    }

    #[test]
    fn a_line_with_a_mistake_is_refused() {
        assert!(parse("connect --too 1").is_err());
        assert!(parse("connect --to").is_err());
        assert!(parse("connect --to nowhere").unwrap().to().is_err());
        assert!(
            parse("direct")
                .unwrap()
                .required::<SocketAddr>("--to")
                .is_err()
        );
    }
}
