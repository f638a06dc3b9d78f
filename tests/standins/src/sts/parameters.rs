//! What a role is assumed with, checked as the STS model says.

mod constraint;
mod tags;

use std::{collections::BTreeMap, time::Duration};

use super::{
    code::{Code, Refusal},
    protocol::{Action, Form},
    role::{Role, is_word},
};

use self::constraint::{Text, number, too_many};

const ROLE_ARN: Text = Text::any("RoleArn", 20, 2048);
const SESSION_NAME: Text = Text::of("RoleSessionName", 2, 64, is_word, r"[\w+=,.@-]*");
const EXTERNAL_ID: Text = Text::of("ExternalId", 2, 1224, is_external, r"[\w+=,.@:\/-]*");
const SOURCE_IDENTITY: Text = Text::of("SourceIdentity", 2, 64, is_word, r"[\w+=,.@-]*");
const TOKEN: Text = Text::any("WebIdentityToken", 4, 20_000);
const POLICY: Text = Text::of(
    "Policy",
    1,
    MAX_POLICY,
    is_policy,
    "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
);

/// Characters of the inline policy and all ARNs of managed policies together.
const MAX_POLICY: usize = 2048;

/// Managed policies of a session.
const MAX_POLICY_ARNS: usize = 10;

/// Contexts of a session.
const MAX_CONTEXTS: usize = 5;

/// A role, and how the session shall be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) role: Role,
    pub(super) session_name: String,
    pub(super) duration: Duration,
    pub(super) external_id: Option<String>,
    pub(super) source_identity: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive_tag_keys: Vec<String>,
    pub(super) policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) token_size: usize,
}

impl Wanted {
    /// Reads the parameters of `action`.
    pub(super) fn read(action: Action, form: &Form) -> Result<Self, Refusal> {
        let arn = ROLE_ARN.required(form)?;
        let session_name = SESSION_NAME.required(form)?.to_owned();
        let seconds = number(form, "DurationSeconds", 900..=43_200)?;
        let token_size = number(form, "MinimumSessionTokenSize", 0..=4096)?;
        let (policy, policy_arns) = policies(form)?;
        let wrong = || Refusal::new(Code::ValidationError, format!("{arn} is invalid"));
        let wanted = Self {
            role: Role::parse(arn).ok_or_else(wrong)?,
            session_name,
            duration: Duration::from_secs(seconds.unwrap_or(3600).into()),
            external_id: None,
            source_identity: None,
            tags: BTreeMap::new(),
            transitive_tag_keys: Vec::new(),
            policy,
            policy_arns,
            token_size: usize::try_from(token_size.unwrap_or(0)).unwrap_or(0),
        };
        match action {
            Action::AssumeRole => wanted.with_extras(form),
            Action::AssumeRoleWithWebIdentity | Action::GetCallerIdentity => Ok(wanted),
        }
    }

    /// What only `AssumeRole` takes.
    fn with_extras(self, form: &Form) -> Result<Self, Refusal> {
        let source_identity = SOURCE_IDENTITY.optional(form)?;
        if source_identity.is_some_and(|identity| identity.starts_with("aws:")) {
            let message = "SourceIdentity must not begin with aws:";
            return Err(Refusal::new(Code::ValidationError, message));
        }
        if form.members("ProvidedContexts").count() > MAX_CONTEXTS {
            return Err(too_many("providedContexts", MAX_CONTEXTS));
        }
        let tags = tags::read(form)?;
        Ok(Self {
            external_id: EXTERNAL_ID.optional(form)?.map(ToOwned::to_owned),
            source_identity: source_identity.map(ToOwned::to_owned),
            transitive_tag_keys: tags::transitive(form, &tags)?,
            tags,
            ..self
        })
    }
}

/// The token of an identity provider, of a length that STS takes.
pub(super) fn web_identity_token(form: &Form) -> Result<&str, Refusal> {
    TOKEN.required(form)
}

/// The inline policy, and the ARNs of managed ones.
fn policies(form: &Form) -> Result<(Option<String>, Vec<String>), Refusal> {
    let policy = POLICY.optional(form)?;
    if policy.is_some_and(|policy| serde_json::from_str::<serde_json::Value>(policy).is_err()) {
        return Err(Code::MalformedPolicyDocument.into());
    }
    let arn = |member| form.get(&format!("{member}.arn")).unwrap_or_default();
    let arns = form
        .members("PolicyArns")
        .map(|member| arn(member).to_owned());
    let arns: Vec<_> = arns.collect();
    if arns.len() > MAX_POLICY_ARNS {
        return Err(too_many("policyArns", MAX_POLICY_ARNS));
    }
    let all = policy.into_iter().chain(arns.iter().map(String::as_str));
    let total: usize = all.map(str::len).sum();
    if total > MAX_POLICY {
        return Err(Code::PackedPolicyTooLarge.into());
    }
    Ok((policy.map(ToOwned::to_owned), arns))
}

fn is_external(letter: char) -> bool {
    is_word(letter) || ":/".contains(letter)
}

fn is_policy(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

#[cfg(test)]
mod tests;
