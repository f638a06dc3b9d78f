//! The instance that pods learn about: the node's own, by way of the real metadata service, or one made up where there
//! is no such service.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    chain::chain,
    id::{PodUid, RoleArn},
    metadata::{Place, freshness},
    upstream::{self, Item, Upstream},
};

use super::outcome::Outcome;

/// Where the metadata of the instance comes from.
#[derive(Clone, Debug)]
pub enum Instance {
    /// The real service.
    Real(Upstream),
    /// What is known of a machine that is no EC2 instance (`--metadata-addr off`).
    Made(Made),
}

/// Metadata of a machine that is no EC2 instance.
#[derive(Clone, Debug)]
pub struct Made {
    /// What is known.
    pub known: watch::Receiver<Known>,
    /// Since when.
    pub since: Timestamp,
}

/// What is known of such a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// This, and there may be more to learn.
    Part(Place),
    /// This, and no more.
    All(Place),
}

impl Instance {
    /// What is at `path`, for `pod`, which has `role`.
    pub(super) async fn read(
        &self,
        path: &str,
        (pod, role): (PodUid, Option<&RoleArn>),
    ) -> Result<Option<Item>, Outcome> {
        match self {
            Self::Real(upstream) => {
                let item = upstream.read(path, freshness(path), pod).await;
                item.map_err(|error| silent(&error))
            }
            Self::Made(made) => made.read(path, role),
        }
    }
}

fn silent(error: &upstream::Error) -> Outcome {
    let error = chain(error);
    tracing::debug!(error, "the real metadata service does not answer");
    Outcome::Upstream
}

impl Made {
    fn read(&self, path: &str, role: Option<&RoleArn>) -> Result<Option<Item>, Outcome> {
        let text = self.known.borrow().read(path, role)?;
        Ok(text.map(|text| Item {
            text: Bytes::from(text),
            modified: self.since,
        }))
    }
}

impl Known {
    /// What is not known now may be soon.
    fn read(&self, path: &str, role: Option<&RoleArn>) -> Result<Option<String>, Outcome> {
        match self {
            Self::All(place) => Ok(place.read(path, role)),
            Self::Part(place) => place.read(path, role).map(Some).ok_or(Outcome::Upstream),
        }
    }
}
