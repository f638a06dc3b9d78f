//! Who is at the other end of an accepted connection.
//!
//! The answer comes from the kernel alone: the cgroup that it recorded for that very connection. It is
//! never guessed from an address. No record, a record of another connection, a cgroup that is no
//! pod's: all of these are a [`Refusal`], and nothing is served.

mod kernel;
mod own;
mod search;
mod syn;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use tokio::net::TcpStream;

use crate::id::{CgroupId, ContainerId, NetnsCookie, PodUid};

pub use crate::redirect::Via;
pub use kernel::Kernel;
pub use own::Own;
pub use syn::save_syns;

/// The process that connected, as far as credentials are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The cgroup that called `connect()`.
    pub cgroup: CgroupId,
    /// The pod that this cgroup belongs to.
    pub pod: PodUid,
    /// The container in it; a cgroup that somebody made beside the containers has none.
    pub container: Option<ContainerId>,
    /// The client's own address, as the kernel recorded it. IPv4 is IPv4.
    pub client: IpAddr,
    /// The network namespace of the socket.
    pub netns: NetnsCookie,
    /// How the connection came here.
    pub via: Via,
}

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The kernel has no record of this connection: the client is not below the pods' cgroup, or has closed already, or
    /// its record was pushed out of a full map, or its SYN had no room for the cookie.
    #[error("the kernel has no record of this connection")]
    NoRecord,
    /// The record is of another connection: a forged cookie, or address translation on the way.
    #[error("the kernel recorded this connection from {recorded}")]
    OtherPeer {
        /// The client's address in the record.
        recorded: SocketAddr,
    },
    /// No cookie came with the SYN, and several records fit.
    #[error("{0} records fit this connection")]
    Ambiguous(usize),
    /// No cookie came with the SYN, and there are so many records that the right one may have been pushed out.
    #[error("{0} records: the one of this connection may have been pushed out")]
    Crowded(usize),
    /// No cookie came with the SYN, and too many such connections wait to be looked for.
    #[error("too many connections without their SYN")]
    Busy,
    /// The cgroup is gone, and with it the client.
    #[error("cgroup {0} does not exist any more")]
    CgroupGone(CgroupId),
    /// The cgroup is below kubepods, but not in a pod.
    #[error("cgroup {} is no pod's", .0.display())]
    NotAPod(PathBuf),
    /// It came the whole way, and it is the agent's own.
    #[error("a connection of the agent's own")]
    Own,
    /// The system could not be asked.
    #[error("cannot attest the connection")]
    System(#[source] std::io::Error),
}

impl Refusal {
    /// A word for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::OtherPeer { .. } => "other_peer",
            Self::Ambiguous(_) => "ambiguous",
            Self::Crowded(_) => "crowded",
            Self::Busy => "busy",
            Self::CgroupGone(_) => "cgroup_gone",
            Self::NotAPod(_) => "not_a_pod",
            Self::Own => "own",
            Self::System(_) => "system",
        }
    }
}

/// Tells who made an accepted connection.
pub trait Attest: fmt::Debug + Send + Sync + 'static {
    /// Attests `connection`, which was accepted from `peer` just now: a record lives no longer than the
    /// client's socket.
    fn attest(
        &self,
        connection: &TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Caller, Refusal>> + Send;
}
