//! The instance that pods learn about: the node's own, by way of the real metadata service, or one made up where there
//! is no such service.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    id::RoleArn,
    metadata::{Place, freshness},
    upstream::{Item, Upstream},
};

use super::outcome::Outcome;

/// Where the metadata of the instance comes from.
#[derive(Clone, Debug)]
pub enum Instance {
    /// The real service.
    Real(Upstream),
    /// What is known of a machine that is no EC2 instance (`--metadata-addr off`), once it is known.
    Made(Made),
}

/// Metadata of a machine that is no EC2 instance.
#[derive(Clone, Debug)]
pub struct Made {
    /// What is known, once it is.
    pub place: watch::Receiver<Option<Place>>,
    /// Since when.
    pub since: Timestamp,
}

impl Instance {
    /// What is at `path`, of a pod that has `role`.
    pub(super) async fn read(
        &self,
        path: &str,
        role: Option<&RoleArn>,
    ) -> Result<Option<Item>, Outcome> {
        match self {
            Self::Real(upstream) => upstream.read(path, freshness(path)).await.map_err(|error| {
                tracing::debug!(%error, "the real metadata service does not answer");
                Outcome::Upstream
            }),
            Self::Made(made) => made.read(path, role),
        }
    }
}

impl Made {
    fn read(&self, path: &str, role: Option<&RoleArn>) -> Result<Option<Item>, Outcome> {
        let place = self.place.borrow();
        let place = place.as_ref().ok_or(Outcome::Upstream)?;
        let text = place.read(path.trim_end_matches('/'), role);
        Ok(text.map(|text| Item {
            text: Bytes::from(text),
            modified: self.since,
        }))
    }
}
