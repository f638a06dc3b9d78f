//! Managed session policies, as the SDK has them.

use aws_sdk_sts::types::PolicyDescriptorType;

use super::super::Policies;

/// The ARNs of `policies`, unless there are none.
pub(super) fn arns(policies: &Policies) -> Option<Vec<PolicyDescriptorType>> {
    let arns = policies.arns();
    let descriptor = |arn| PolicyDescriptorType::builder().arn(arn).build();
    (arns.len() > 0).then(|| arns.map(descriptor).collect())
}
