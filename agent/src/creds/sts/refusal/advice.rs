//! What there is to do where STS refuses. It names neither the pod, nor the annotation or policy that is meant.

use super::super::{super::Identity, skew::Skew};

/// Where and for whom STS was asked.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Circumstances<'a> {
    /// Whose session.
    pub(in super::super) identity: &'a Identity,
    /// Whose STS.
    pub(in super::super) region: &'a str,
    /// How our clock stands to STS's.
    pub(in super::super) skew: &'a Skew,
}

impl Circumstances<'_> {
    /// STS's words, and after them what there is to do.
    pub(super) fn with_advice(&self, code: &str, message: String) -> String {
        let clock = is_of_a_time(code).then(|| self.skew.told()).flatten();
        let advice: Vec<_> = self
            .advice(code, &message)
            .into_iter()
            .chain(clock)
            .collect();
        if advice.is_empty() {
            return message;
        }
        let is_cut = message.ends_with("...");
        let words = message
            .strip_suffix('.')
            .filter(|_| !is_cut)
            .unwrap_or(&message);
        format!("{words}; {}", advice.join("; "))
    }

    fn advice(&self, code: &str, message: &str) -> Option<String> {
        let role = &self.identity.role;
        match code {
            "AccessDenied" | "AccessDeniedException" if message.contains("sts:TagSession") => {
                Some(self.tags_allowed(message))
            }
            "MalformedPolicyDocument" if self.identity.policies.inline().is_some() => {
                Some("look at the annotation bpf2iam.io/session-policy".to_owned())
            }
            "PackedPolicyTooLarge" => self.shorter(),
            "RegionDisabledException" => Some(format!(
                "activate STS of {} for account {} (IAM, account settings), or set AWS_REGION to another region",
                self.region,
                role.account()
            )),
            _ => match &self.identity.web_identity {
                Some(whose) => whose.advice(code, role),
                None => self.advice_to_the_node(code, message),
            },
        }
    }

    fn advice_to_the_node(&self, code: &str, message: &str) -> Option<String> {
        if !matches!(code, "AccessDenied" | "AccessDeniedException") {
            return None;
        }
        let caller = caller(message);
        let condition = match self.identity.external_id {
            Some(_) => ", with the pod's external id",
            None => "",
        };
        Some(format!(
            "the role's trust policy must allow sts:AssumeRole to {caller}{condition}, and so must a policy of the \
             latter"
        ))
    }

    fn tags_allowed(&self, message: &str) -> String {
        let caller = caller(message);
        // Where we send none, the keys that we sign with have tags that they hand on.
        let else_way = if self.identity.tags.is_empty() {
            "give the agent keys without transitive session tags"
        } else {
            "leave --session-tags off"
        };
        format!(
            "session tags need it: allow sts:TagSession beside sts:AssumeRole in the role's trust policy and in a \
             policy of {caller}, or {else_way}"
        )
    }

    /// What makes a session smaller, of what it has.
    fn shorter(&self) -> Option<String> {
        let policies = (!self.identity.policies.is_empty()).then_some(
            "shorten what the annotations bpf2iam.io/session-policy and bpf2iam.io/session-policy-arns say",
        );
        let tags = (!self.identity.tags.is_empty()).then_some("leave --session-tags off");
        let ways: Vec<_> = policies.into_iter().chain(tags).collect();
        (!ways.is_empty()).then(|| ways.join(", or "))
    }
}

/// Whether a clock may be to blame.
fn is_of_a_time(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidIdentityToken"
            | "InvalidSignatureException"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch"
    )
}

/// Who called, as policies name it, if STS says so: `User: ARN is not authorized to perform: ...`.
fn caller(message: &str) -> String {
    let arn = message
        .split_once("User: ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let Some(arn) = arn.filter(|arn| arn.starts_with("arn:")) else {
        return "the node's role".to_owned();
    };
    match role_of_session(arn) {
        Some((account, role)) => format!("the role {role} of account {account}"),
        None => arn.to_owned(),
    }
}

/// Account and role of `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`. The role's path is not in there.
fn role_of_session(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.split(':').skip(4);
    let (account, resource) = (parts.next()?, parts.next()?);
    let role = resource.strip_prefix("assumed-role/")?.split('/').next()?;
    Some((account, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_named_as_policies_name_it() {
        let not = "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/r";
        for (message, named) in [
            (
                format!("User: arn:aws-cn:sts::123456789012:assumed-role/node-role/i-0a1b {not}"),
                "the role node-role of account 123456789012",
            ),
            (
                format!("User: arn:aws:iam::123456789012:user/team/agent {not}"),
                "arn:aws:iam::123456789012:user/team/agent",
            ),
            (format!("User: somebody {not}"), "the node's role"),
            ("Access denied".to_owned(), "the node's role"),
            ("User: ".to_owned(), "the node's role"),
        ] {
            assert_eq!(caller(&message), named, "{message}");
        }
    }
}
