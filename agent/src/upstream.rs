//! The real metadata service of this node: the only module that dials it.
//!
//! It is asked with the agent's own IMDSv2 token, over a connection of its own for each request, within bounds of time and
//! size. Values that do not change are remembered, and still there when it is down; those who ask for the same at the
//! same time share one request, which no client's going away ends.

use bytes::Bytes;
use hyper::{Response, http::request::Parts};
use jiff::Timestamp;

use crate::{config::MetadataAddr, metadata::Freshness};

/// The service. Copies share what is remembered.
#[derive(Clone, Debug)]
pub struct Upstream {
    addr: MetadataAddr,
}

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The text.
    pub text: Bytes,
    /// When it last changed, says the service.
    pub modified: Timestamp,
}

/// The service could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot ask the metadata service at {addr}: {reason}")]
pub struct Error {
    addr: MetadataAddr,
    reason: String,
}

impl Upstream {
    /// The service at `addr`, of which nothing is known.
    pub const fn new(addr: MetadataAddr) -> Self {
        Self { addr }
    }

    /// What is at `path` below `latest`, as in `meta-data/placement/region`; none if there is no such thing. `directory`
    /// says that it is a listing.
    pub async fn read(&self, _path: &str, _freshness: Freshness) -> Result<Option<Item>, Error> {
        std::future::pending().await
    }

    /// Passes on the request of a pod that has the node's own identity, unchanged but for what belongs to the connection,
    /// and gives the answer likewise.
    pub async fn pass(&self, _request: &Parts) -> Result<Response<Bytes>, Error> {
        std::future::pending().await
    }
}
