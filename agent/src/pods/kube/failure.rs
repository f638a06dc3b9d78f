//! What goes wrong between us and the API server, and what the operator can do about it.

use std::fmt;

use kube::core::Status;

use crate::chain::{chain, one_line};

/// Why the API server did not tell us.
#[derive(Debug)]
pub(super) enum Failure {
    /// It said so itself.
    Refused(Box<Status>),
    /// There was no answer that we understand.
    Client(Box<kube::Error>),
    /// There was no answer in time.
    TimedOut,
    /// It hung up at once.
    Closed,
    /// What it tells cannot all be true, or is not all that happened.
    Disordered,
    /// Two pods claim to be the one of the same cgroup.
    Ambiguous,
    /// The pod, or what is around it, is none that can be.
    Invalid(String),
    /// The pods of the node have more to say than we listen to.
    TooLong,
}

/// The kinds of [`Failure`] that matter to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody listens, or the certificate is wrong.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// It does not know us: 401.
    Unauthorized,
    /// We may not: 403.
    Forbidden,
    /// What we knew is too old to go on from: 410. All is listed again.
    Expired,
    /// It has too much to do: 429.
    Throttled,
    /// It is in trouble itself: 5xx.
    Server,
    /// It does not want what we ask.
    Refused,
    /// It hung up at once.
    Closed,
    /// It contradicts itself. All is listed again.
    Disordered,
    /// Its answer cannot be read.
    Unreadable,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Expired,
        Self::Throttled,
        Self::Server,
        Self::Refused,
        Self::Closed,
        Self::Disordered,
        Self::Unreadable,
    ];

    /// The word in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Disordered => "disordered",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether it is of no use to go on where it ended.
    pub(super) const fn forgets(self) -> bool {
        matches!(self, Self::Expired | Self::Disordered)
    }
}

impl Failure {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Refused(status) => of_status(status),
            Self::Client(error) => of_client(error),
            Self::TimedOut => Reason::TimedOut,
            Self::Closed => Reason::Closed,
            Self::Disordered | Self::Ambiguous => Reason::Disordered,
            Self::Invalid(_) | Self::TooLong => Reason::Unreadable,
        }
    }

    /// Whether the server knows no such parameters, rather than us.
    pub(super) fn is_about_parameters(&self) -> bool {
        matches!(self, Self::Refused(status) if matches!(status.code, 400 | 405 | 415 | 422))
    }

    /// Whether whoever wrote some object is to blame, and not the server.
    pub(super) const fn is_about_objects(&self) -> bool {
        matches!(self, Self::Ambiguous | Self::Invalid(_) | Self::TooLong)
    }

    /// What the server wishes us to wait.
    pub(super) fn wishes_seconds(&self) -> u32 {
        match self {
            Self::Refused(status) => {
                let details = status.details.as_ref();
                details.map_or(0, |details| details.retry_after_seconds)
            }
            Self::Client(_)
            | Self::TimedOut
            | Self::Closed
            | Self::Disordered
            | Self::Ambiguous
            | Self::Invalid(_)
            | Self::TooLong => 0,
        }
    }
}

/// The server of another time: it does not know yet what it told us, as after its etcd was restored.
const TOO_LARGE: &str = "ResourceVersionTooLarge";

fn of_status(status: &Status) -> Reason {
    let details = status.details.as_ref();
    if details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == TOO_LARGE)) {
        return Reason::Disordered;
    }
    match (status.code, status.reason.as_str()) {
        (410, _) | (_, "Expired" | "Gone") => Reason::Expired,
        (0, "") => Reason::Unreadable, // no status at all: see `Failure::from`
        (401, _) => Reason::Unauthorized,
        (403, _) => Reason::Forbidden,
        (429, _) => Reason::Throttled,
        (500.., _) => Reason::Server,
        _ => Reason::Refused,
    }
}

fn of_client(error: &kube::Error) -> Reason {
    let is_garbled = matches!(error, kube::Error::SerdeError(_) | kube::Error::FromUtf8(_));
    if is_garbled {
        Reason::Unreadable
    } else {
        Reason::Unreachable
    }
}

/// To [`kube`], an event of a watch with an object that cannot be read is a status, which says nothing.
impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::Refused(status);
        }
        Self::Client(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) if of_status(status) == Reason::Unreadable => {
                f.write_str("an object cannot be read: one of its fields is of another type")
            }
            Self::Refused(status) if status.message.is_empty() => {
                write!(f, "the API server says {}", status.code)
            }
            Self::Refused(status) => f.write_str(&one_line(&status.message)),
            Self::Client(error) => f.write_str(&what(error)),
            Self::TimedOut => f.write_str("the API server does not answer in time"),
            Self::Closed => f.write_str("the API server hangs up at once"),
            Self::Disordered => f.write_str("the API server contradicts what it told before"),
            Self::Invalid(what) => f.write_str(what),
            Self::TooLong => f.write_str("the metadata of the node's pods is longer than 8 MiB"),
            Self::Ambiguous => {
                f.write_str("two pods claim the same static pod by their annotations")
            }
        }
    }
}

/// What is wrong on the way to the server and back.
fn what(error: &kube::Error) -> String {
    if let kube::Error::Service(error) = error {
        return chain(error.as_ref());
    }
    chain(error)
}

#[cfg(test)]
mod tests;
