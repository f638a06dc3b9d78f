//! What each client has to show: a column of the table of results.

/// One thing that holds for every client, or has a reason why it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// It is its pod's role, and nobody else; without the agent it is the node.
    Role,
    /// It fetches a session token, then the role's name, then its keys, and shows the token for both.
    Sequence,
    /// It works where tokens are required.
    Required,
    /// In a pod without a role it fails as on an instance without one.
    Absent,
    /// It fails cleanly where the agent refuses, or has nothing to give.
    Refused,
    /// It works where the first answer takes a while.
    Delayed,
    /// It finds the Region by itself.
    Region,
    /// It has new keys before its first ones end.
    Refresh,
    /// It works by IPv6, and by IPv4 in IPv6.
    Ipv6,
}

impl Column {
    pub(super) const ALL: [Self; 9] = [
        Self::Role,
        Self::Sequence,
        Self::Required,
        Self::Absent,
        Self::Refused,
        Self::Delayed,
        Self::Region,
        Self::Refresh,
        Self::Ipv6,
    ];

    /// What is written above it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Sequence => "IMDSv2",
            Self::Required => "required",
            Self::Absent => "no role",
            Self::Refused => "refused",
            Self::Delayed => "delayed",
            Self::Region => "region",
            Self::Refresh => "refresh",
            Self::Ipv6 => "IPv6",
        }
    }
}
