//! The ways to the metadata service. Each takes another path through the kernel.

use super::client::Client;

/// How a client is told where the metadata service is.
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// How an SDK is told to take the IPv6 address that it knows.
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// A way to the metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// 169.254.169.254, as every client does without being told.
    Ipv4,
    /// 169.254.169.254 by an IPv6 socket, as Java does.
    Mapped,
    /// `fd00:ec2::254`.
    Ipv6,
}

impl Transport {
    pub(super) const ALL: [Self; 3] = [Self::Ipv4, Self::Mapped, Self::Ipv6];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Mapped => "IPv4 in IPv6",
            Self::Ipv6 => "IPv6",
        }
    }

    /// What makes `client` go this way.
    pub(super) fn variable(self, client: Client) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Ipv4 => None,
            Self::Mapped => Some((ENDPOINT, "http://[::ffff:169.254.169.254]")),
            Self::Ipv6 if client.is_sdk() => Some((MODE, "IPv6")),
            Self::Ipv6 => Some((ENDPOINT, "http://[fd00:ec2::254]")),
        }
    }
}
