//! How requests end, in words for logs and metrics. The pod is told less: a status.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The caller got what it asked for.
    Served,
    /// PUT without a TTL, or with one that EC2 does not take.
    TokenTtl,
    /// Something else than PUT on the token path.
    TokenMethod,
    /// The token path with a slash at its end, or under another version than `latest`.
    TokenPath,
    /// A token, or the wish for one, came through a proxy.
    Forwarded,
    /// A method that changes things.
    Method,
    /// A body, where none has a meaning, and a large one.
    BodySize,
    /// A body that broke off, or did not come in time.
    BodyBroken,
    /// No token, where the operator requires one.
    TokenMissing,
    /// A token that is none.
    TokenMalformed,
    /// A token that we did not make, or not for this pod.
    TokenForged,
    /// A token that has had its time.
    TokenExpired,
    /// A path that does not exist for this pod.
    Path,
    /// The real service does not have it, though the pod might see it.
    Missing,
    /// The real service gives no answer, and none is remembered.
    Upstream,
    /// The pod has the node's own identity: it got the real service's answer.
    Passed,
    /// The pod, or something that decides about its role, is not known (yet).
    PodUnknown,
    /// No such pod is bound to this node, says the source of pods.
    PodElsewhere,
    /// The connection comes from an address that is not the pod's.
    OtherAddress,
    /// The pod has no role.
    NoRole,
    /// An annotation of the pod says something that cannot be meant: no role, or no external id.
    InvalidRole,
    /// The namespace does not let the pod have the role that was named for it.
    Forbidden,
    /// The pod has a role, but of another name.
    OtherRole,
    /// The first call to STS has not come back yet.
    Fetching,
    /// STS gives nothing at the moment.
    Unavailable,
    /// The keys that there are have no time left.
    Expiring,
    /// STS refuses the role.
    Denied,
}

impl Outcome {
    /// The word in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::TokenTtl => "token_ttl",
            Self::TokenMethod => "token_method",
            Self::TokenPath => "token_path",
            Self::Forwarded => "forwarded",
            Self::Method => "method",
            Self::BodySize => "body_size",
            Self::BodyBroken => "body_broken",
            Self::TokenMissing => "token_missing",
            Self::TokenMalformed => "token_malformed",
            Self::TokenForged => "token_forged",
            Self::TokenExpired => "token_expired",
            Self::Path => "path",
            Self::Missing => "missing",
            Self::Upstream => "upstream",
            Self::Passed => "passed",
            Self::PodUnknown => "pod_unknown",
            Self::PodElsewhere => "pod_elsewhere",
            Self::OtherAddress => "other_address",
            Self::NoRole => "no_role",
            Self::InvalidRole => "invalid_role",
            Self::Forbidden => "forbidden",
            Self::OtherRole => "other_role",
            Self::Fetching => "fetching",
            Self::Unavailable => "unavailable",
            Self::Expiring => "expiring",
            Self::Denied => "denied",
        }
    }
}
