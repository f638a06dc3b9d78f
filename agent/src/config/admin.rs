//! Where the admin port is.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Error, Warning};

/// Where it is unless the operator says otherwise.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9998);

/// Where it is, if there is to be one. kube2iam's `--metrics-port` is a port of all addresses; what is at the port of
/// the pods is for the pods.
pub(super) fn listen(
    typed: Option<&str>,
    metrics_port: Option<u16>,
    listen_port: u16,
) -> Result<(Option<SocketAddr>, Option<Warning>), Error> {
    let warning = |says| metrics_port.map(|_| Warning::new("metrics-port", says));
    let all = |port| SocketAddr::new(DEFAULT.ip(), port);
    match (typed, metrics_port) {
        (Some("off"), _) => Ok((None, warning(OVERRULED))),
        (Some(text), _) => Ok((Some(parse(text)?), warning(OVERRULED))),
        (None, Some(port)) if port == listen_port && port != 0 => {
            Ok((Some(DEFAULT), warning(PORT_OF_PODS)))
        }
        (None, Some(port)) => Ok((Some(all(port)), None)),
        (None, None) => Ok((Some(DEFAULT), None)),
    }
}

const OVERRULED: &str = "not used, as --admin-listen is given";
const PORT_OF_PODS: &str = "not used, as it is the port of the pods (--app-port), who are not to see metrics; they \
                            and /healthz are at port 9998 (--admin-listen)";

fn parse(text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|source| Error::AdminListen {
        value: text.to_owned(),
        source,
    })
}
