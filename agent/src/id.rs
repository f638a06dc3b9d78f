//! Identifiers: of pods and containers, of the kernel's objects, of IAM roles and AWS's partitions.
//!
//! Each is a type of its own with a private field, so that no two kinds are ever mixed up. Whatever
//! comes from outside is checked once, in `FromStr`; what `Display` prints parses again to the same.

mod excerpt;
mod external;
mod kernel;
mod kubernetes;
mod partition;
mod role;

pub use excerpt::Excerpt;
pub use external::{ExternalId, InvalidExternalId};
pub use kernel::{CgroupId, NetnsCookie, SocketCookie};
pub use kubernetes::{ContainerId, ParseError, PodRef, PodUid};
pub(crate) use kubernetes::{is_dns_label, is_dns_subdomain};
pub(crate) use partition::Partition;
pub(crate) use role::lower_arn_prefix;
pub use role::{BaseArn, InvalidRole, RoleArn};
