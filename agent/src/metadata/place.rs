//! The metadata of a machine that is no EC2 instance, made up from what is known of it.

use crate::id::RoleArn;

/// What is known of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The Region.
    pub region: Option<String>,
    /// The availability zone.
    pub zone: Option<String>,
    /// `i-...`, where Kubernetes knows the machine by such an id.
    pub instance_id: Option<String>,
    /// As in the node's label.
    pub instance_type: Option<String>,
    /// The account of the base ARN, if there is one.
    pub account: Option<String>,
}

impl Place {
    /// What is at `path`, for a pod that has `role`: a leaf's text or a directory's listing.
    pub fn read(&self, _path: &str, _role: Option<&RoleArn>) -> Option<String> {
        None
    }
}
