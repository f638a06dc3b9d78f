//! Where this node's own metadata service is.

use std::{fmt, str::FromStr};

use hyper::{Uri, http::uri::Authority};

use super::{Error, Machine, Warning, given};

/// Where it is on EC2.
const EC2: &str = "169.254.169.254";

/// Why there is none: the flag or variable that says so.
pub(crate) type Off = &'static str;

/// It is the SDKs' variable, and means ours as well.
const DISABLED: Off = "$AWS_EC2_METADATA_DISABLED is true";
const OFF: &str = "off, as $AWS_EC2_METADATA_DISABLED is true: pods see of the node what flags and Kubernetes say, and \
                   nobody keeps the node's identity; give the address if there is a metadata service";

/// What whoever did not say it by the flag should know.
pub(super) fn warning(off: Off) -> Option<Warning> {
    (off == DISABLED).then(|| Warning::new("metadata-addr", OFF))
}

/// The metadata service of this node: a host, and a port unless it is 80.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataAddr(Authority);

impl MetadataAddr {
    /// The first of: what was typed, what the AWS SDKs' own variables say, the address on EC2. If it is none, says why.
    pub(crate) fn choose(
        typed: Option<String>,
        machine: &Machine,
    ) -> Result<Result<Self, Off>, Error> {
        match given(typed) {
            Some(text) if text.eq_ignore_ascii_case("off") => {
                return Ok(Err("--metadata-addr is off"));
            }
            Some(text) => return Self::parse("--metadata-addr", text).map(Ok),
            None => {}
        }
        if is_true(machine.metadata_disabled.as_deref()) {
            return Ok(Err(DISABLED));
        }
        match given(machine.metadata_endpoint.clone()) {
            Some(text) => Self::parse("$AWS_EC2_METADATA_SERVICE_ENDPOINT", text).map(Ok),
            None => Ok(Ok(Self(Authority::from_static(EC2)))),
        }
    }

    fn parse(given_by: &'static str, value: String) -> Result<Self, Error> {
        let refused = |value| Error::MetadataAddr { given_by, value };
        value.parse().map_err(|NoMetadataAddr| refused(value))
    }

    /// What a request's `Host` says.
    pub fn authority(&self) -> &str {
        self.0.as_str()
    }

    /// Whom to connect to: a name or an address, and a port.
    pub fn target(&self) -> (&str, u16) {
        let host = self.0.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        (bare.unwrap_or(host), self.0.port_u16().unwrap_or(80))
    }
}

/// A text that is no such address.
#[derive(Debug, thiserror::Error)]
#[error("it is neither HOST[:PORT] nor http://HOST[:PORT]")]
pub struct NoMetadataAddr;

impl FromStr for MetadataAddr {
    type Err = NoMetadataAddr;

    /// A URL as the SDKs take it, or a host and port as kube2iam does. The service has no TLS.
    fn from_str(text: &str) -> Result<Self, NoMetadataAddr> {
        let uri = if text.contains("://") {
            text.parse()
        } else {
            format!("http://{text}").parse()
        };
        let parts = uri
            .map(Uri::into_parts)
            .map_err(|_not_one| NoMetadataAddr)?;
        let is_http = parts.scheme.is_some_and(|scheme| scheme.as_str() == "http");
        let bare = parts.path_and_query.is_none_or(|path| path.as_str() == "/");
        let authority = parts.authority.filter(is_whole);
        authority
            .filter(|_| is_http && bare)
            .map(Self)
            .ok_or(NoMetadataAddr)
    }
}

/// Whether a variable says so to the AWS SDKs.
fn is_true(variable: Option<&str>) -> bool {
    variable.is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// Host and perhaps port, and no user.
fn is_whole(authority: &Authority) -> bool {
    let text = authority.as_str();
    let after_host = text.strip_prefix(authority.host());
    let port = authority.port_u16();
    !authority.host().is_empty()
        && (after_host == Some("")
            || port.is_some_and(|port| after_host == Some(&format!(":{port}"))))
}

impl fmt::Display for MetadataAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{
        Machine,
        tests::{config, config_on, machine, refusal},
    };

    fn addr(machine: Machine, flags: &[&str]) -> Option<String> {
        let metadata = config_on(machine, flags).unwrap().metadata;
        metadata.map(|addr| addr.to_string())
    }

    #[test]
    fn it_is_a_url_or_a_host_and_port() {
        for (text, printed, target) in [
            (
                "169.254.169.254",
                "http://169.254.169.254",
                ("169.254.169.254", 80),
            ),
            (
                "127.0.0.1:1338",
                "http://127.0.0.1:1338",
                ("127.0.0.1", 1338),
            ),
            (
                "http://127.0.0.1:1338/",
                "http://127.0.0.1:1338",
                ("127.0.0.1", 1338),
            ),
            (
                "http://[fd00:ec2::254]",
                "http://[fd00:ec2::254]",
                ("fd00:ec2::254", 80),
            ),
            (
                "[fd00:ec2::254]:8080",
                "http://[fd00:ec2::254]:8080",
                ("fd00:ec2::254", 8080),
            ),
            ("imds.test", "http://imds.test", ("imds.test", 80)),
        ] {
            let config = config(&["--metadata-addr", text]).unwrap();
            let metadata = config.metadata.unwrap();
            assert_eq!(metadata.to_string(), printed, "{text}");
            assert_eq!(metadata.target(), target, "{text}");
        }
    }

    #[test]
    fn it_comes_from_the_sdks_variable_or_is_ec2s() {
        let by_variable = |value: &str| Machine {
            metadata_endpoint: Some(value.to_owned()),
            ..machine()
        };
        let addr = |machine, flags| addr(machine, flags).unwrap();
        assert_eq!(addr(machine(), &[]), "http://169.254.169.254");
        assert_eq!(addr(by_variable(""), &[]), "http://169.254.169.254");
        assert_eq!(
            addr(by_variable("http://127.0.0.1:9/"), &[]),
            "http://127.0.0.1:9"
        );
        let flags = ["--metadata-addr=127.0.0.1:8"];
        assert_eq!(
            addr(by_variable("http://127.0.0.1:9"), &flags),
            "http://127.0.0.1:8"
        );
        assert_eq!(
            addr(machine(), &["--metadata-addr="]),
            "http://169.254.169.254"
        );
    }

    #[test]
    fn there_is_none_where_that_is_said_and_no_address_is_typed() {
        let disabled = |value: &str| Machine {
            metadata_disabled: Some(value.to_owned()),
            metadata_endpoint: Some("http://127.0.0.1:9".to_owned()),
            ..machine()
        };
        assert_eq!(addr(machine(), &["--metadata-addr=off"]), None);
        assert_eq!(addr(machine(), &["--metadata-addr=OFF"]), None);
        for value in ["true", "TRUE"] {
            assert_eq!(addr(disabled(value), &[]), None);
            assert_eq!(addr(disabled(value), &["--metadata-addr="]), None);
            let typed = addr(disabled(value), &["--metadata-addr=127.0.0.1:8"]);
            assert_eq!(typed.as_deref(), Some("http://127.0.0.1:8"));
        }
        let warnings = config_on(disabled("true"), &[]).unwrap().warnings;
        let said = warnings.iter().map(ToString::to_string);
        let said: Vec<_> = said
            .filter(|said| said.starts_with("--metadata-addr: off"))
            .collect();
        assert_eq!(said.len(), 1, "{warnings:?}");
        for value in ["", "false", "1"] {
            let by_variable = addr(disabled(value), &[]);
            assert_eq!(
                by_variable.as_deref(),
                Some("http://127.0.0.1:9"),
                "{value}"
            );
        }
        let printed = config(&["--metadata-addr=off"]).unwrap().to_string();
        assert!(printed.contains(" --metadata-addr=off "), "{printed}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "https://169.254.169.254",
            "http://169.254.169.254/latest",
            "http://169.254.169.254?x",
            "169.254.169.254/latest/meta-data",
            "user@169.254.169.254",
            "http://",
            ":80",
            "127.0.0.1:",
            "127.0.0.1:http",
            "127.0.0.1:65536",
            "fd00:ec2::254",
            "a b",
        ] {
            assert_eq!(
                refusal(&["--metadata-addr", text]),
                format!(
                    "--metadata-addr is {text:?}; give HOST[:PORT] or http://HOST[:PORT], without a path"
                ),
            );
        }
    }
}
