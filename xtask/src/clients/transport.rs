//! The ways to the metadata service. Each takes another path through the kernel.

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
}
