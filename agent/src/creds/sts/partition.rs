//! AWS's partitions. Roles cannot be assumed across them, and STS's words for that help nobody.

use crate::id::{Partition, RoleArn};

use super::super::SourceError;

/// Whether `region` is a name for no region in particular, whose STS is the global one.
pub(super) fn is_global(region: &str) -> bool {
    region == "global" || region.ends_with("-global")
}

/// Refuses a role of another partition than that of `region`. About regions that we do not know, STS decides.
pub(super) fn check(role: &RoleArn, region: &str) -> Result<(), SourceError> {
    match Partition::of(region).map(Partition::name) {
        Some(partition) if partition != role.partition() => Err(SourceError::Invalid {
            role: role.clone(),
            code: "another partition".to_owned(),
            message: format!(
                "it is a role of {}, and the region {region} of this node is in {partition}",
                role.partition()
            ),
        }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_other_partitions_are_refused_and_named() {
        for (role, region, taken) in [
            ("arn:aws:iam::123456789012:role/r", "eu-west-1", true),
            ("arn:aws-cn:iam::123456789012:role/r", "cn-north-1", true),
            ("arn:aws-xx:iam::123456789012:role/r", "xx-new-1", true),
            ("arn:aws-cn:iam::123456789012:role/r", "eu-west-1", false),
            ("arn:aws:iam::123456789012:role/r", "cn-north-1", false),
            ("arn:aws:iam::123456789012:role/r", "us-gov-west-1", false),
            (
                "arn:aws-iso:iam::123456789012:role/r",
                "us-isob-east-1",
                false,
            ),
        ] {
            let role: RoleArn = role.parse().unwrap();
            let checked = check(&role, region);
            assert_eq!(checked.is_ok(), taken, "{role} {region}");
            if let Err(error) = checked {
                assert!(error.to_string().contains(region), "{error}");
            }
        }
    }

    #[test]
    fn a_region_that_means_everywhere_is_known() {
        for (region, global) in [
            ("aws-global", true),
            ("aws-cn-global", true),
            ("global", true),
            ("us-east-1", false),
        ] {
            assert_eq!(is_global(region), global, "{region}");
        }
    }
}
