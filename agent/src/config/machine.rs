//! What the machine says where the operator says nothing.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use crate::telemetry;

use super::variable::PREFIX;

/// Addresses to which nobody sends anything (RFC 5737, RFC 3849), so that the route to them is the
/// default route.
const NOWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// What the machine says.
#[derive(Debug)]
pub struct Machine {
    /// `$NODE_NAME`, which manifests fill from `spec.nodeName`.
    pub node_name: Option<String>,
    /// `$HOST_IP`, which manifests fill from `status.hostIP`, or `status.hostIPs` with commas.
    pub host_ip: Option<String>,
    /// `$AWS_EC2_METADATA_SERVICE_ENDPOINT`, by which the AWS SDKs find the metadata service.
    pub metadata_endpoint: Option<String>,
    /// `$AWS_EC2_METADATA_DISABLED`, by which the AWS SDKs are told not to ask it.
    pub metadata_disabled: Option<String>,
    /// `$AWS_REGION`, which tells the AWS SDKs where they are.
    pub region: Option<String>,
    /// `$AWS_DEFAULT_REGION`, the same for those that read no other.
    pub default_region: Option<String>,
    /// The names of all environment variables that begin as those of our flags.
    pub variables: Vec<String>,
    /// The host name.
    pub host_name: io::Result<String>,
    /// The source addresses of the default routes.
    pub sources: Vec<IpAddr>,
    /// What suits whoever reads the log.
    pub log_format: telemetry::Format,
}

impl Machine {
    /// Asks this machine. No packet is sent.
    pub fn observe() -> Self {
        Self {
            node_name: variable("NODE_NAME"),
            host_ip: variable("HOST_IP"),
            metadata_disabled: variable("AWS_EC2_METADATA_DISABLED"),
            metadata_endpoint: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            region: variable("AWS_REGION"),
            default_region: variable("AWS_DEFAULT_REGION"),
            variables: names(PREFIX),
            host_name: fs::read_to_string("/proc/sys/kernel/hostname"),
            sources: NOWHERE.into_iter().filter_map(source_towards).collect(),
            log_format: if io::stderr().is_terminal() {
                telemetry::Format::Text
            } else {
                telemetry::Format::Json
            },
        }
    }
}

fn names(prefix: &str) -> Vec<String> {
    let names = env::vars_os().map(|(name, _value)| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

fn variable(name: &str) -> Option<String> {
    Some(env::var_os(name)?.to_string_lossy().into_owned())
}

/// The address that we would have towards `destination`. Connecting a UDP socket looks up the route and
/// sends nothing.
fn source_towards(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(destination, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
