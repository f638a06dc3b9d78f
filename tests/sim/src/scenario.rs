//! What happens to the cluster, and what is wanted of it.

mod day;
mod outage;
mod storm;

use std::time::Duration;

use crate::{Setting, cluster::Flow};

pub(crate) use day::day;
pub(crate) use outage::outage;
pub(crate) use storm::{Scale, storm};

/// So long new pods come fast, wherever the storm has driven the old ones from.
const STORM: Duration = Duration::from_mins(6);

/// Trouble is looked for so often.
const LOOK: Duration = Duration::from_secs(1);

impl Setting {
    /// Pods that come fast at first, and then as in steady life.
    fn flow(&self) -> Flow {
        Flow {
            at_first: self.new_pods_per_second,
            until: STORM,
            then: self.replaced_per_second(),
        }
    }

    /// Pods that come as in steady life.
    fn steady_flow(&self) -> Flow {
        Flow {
            at_first: 0.0,
            until: Duration::ZERO,
            then: self.replaced_per_second(),
        }
    }
}
