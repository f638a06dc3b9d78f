//! What becomes of a call: first whether it is right, then what the rules say, then the answer.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, header::HeaderMap};
use jiff::Timestamp;

use crate::{
    LEAK_MARK,
    clock::Clock,
    serve::{Reply, Response},
};

use super::{
    Node, UnknownKeys, answers,
    call::{Call, Outcome},
    code::{Code, Refusal},
    jwt::Claims,
    keys::KeySet,
    parameters::{Wanted, web_identity_token},
    protocol::{Action, Form},
    provider::{self, Provider},
    rules::{Conditions, Fault, Rules, Script, Tagging},
    sessions::{Session, Sessions, Terms},
    sigv4,
};

/// The longest session of a role that another role assumes.
const CHAINED: Duration = Duration::from_hours(1);

/// STS without its sockets.
pub(super) struct TokenService {
    pub(super) node: Node,
    pub(super) unknown_keys: UnknownKeys,
    pub(super) provider: Provider,
    pub(super) signatures: sigv4::Terms,
    pub(super) longest: Duration,
    pub(super) clock: Clock,
    pub(super) rules: Rules,
    pub(super) sessions: Sessions,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) account: String,
}

/// What becomes of a call.
pub(super) struct Handled {
    pub(super) call: Call,
    pub(super) delay: Duration,
    pub(super) reply: Reply,
}

/// A call that is right.
enum Asked {
    Role(Identity, Wanted),
    RoleWithWebIdentity(Claims, Wanted),
    Identity(Identity),
}

impl TokenService {
    pub(super) async fn handle(&self, request: &Request<Bytes>) -> Handled {
        let form = Form::read(request);
        let (action, role) = (form.action().ok(), form.get("RoleArn"));
        let conditions = self.rules.conditions(action, role);
        let now = self.clock.now();
        let mut call = Call::new(now.saturating_add(conditions.clock).unwrap_or(now), &form);
        let keys = match form.action() {
            Ok(Action::AssumeRoleWithWebIdentity) => self.provider.keys().await,
            _ => Ok(None),
        };
        let asked = self.check(&form, request.headers(), (keys, conditions), &mut call);
        let (script, reply) = match asked {
            Err(refusal) => (Script::default(), refuse(&mut call, &refusal)),
            Ok(asked) => {
                let script = self.rules.script(asked.action(), asked.role(), now);
                (script, self.play(asked, script, &mut call))
            }
        };
        let reply = match reply {
            Reply::Answer(answer) => Reply::Answer(answers::dated(answer, call.at)),
            reply @ (Reply::Stream(_)
            | Reply::Raw(_)
            | Reply::Close
            | Reply::Reset
            | Reply::Hang) => reply,
        };
        Handled {
            call,
            delay: script.delay,
            reply,
        }
    }

    /// Whether a call is right, whatever will become of it. The keys prove web identities, if they must be proved.
    fn check(
        &self,
        form: &Form,
        headers: &HeaderMap,
        (keys, conditions): (Result<Option<KeySet>, Refusal>, Conditions),
        call: &mut Call,
    ) -> Result<Asked, Refusal> {
        let action = form.action()?;
        match action {
            Action::AssumeRole => {
                let caller = self.caller(headers, call)?;
                let wanted = self.wanted(action, form, conditions)?;
                check_chaining(&wanted)?;
                check_tags(&wanted, &caller, conditions.tags)?;
                Ok(Asked::Role(caller, wanted))
            }
            Action::AssumeRoleWithWebIdentity => {
                let wanted = self.wanted(action, form, conditions)?;
                let token = web_identity_token(form)?;
                let role = &wanted.role.arn;
                let claims = self.provider.check(token, role, keys?.as_ref(), call.at)?;
                Ok(Asked::RoleWithWebIdentity(claims, wanted))
            }
            Action::GetCallerIdentity => self.caller(headers, call).map(Asked::Identity),
        }
    }

    fn wanted(
        &self,
        action: Action,
        form: &Form,
        conditions: Conditions,
    ) -> Result<Wanted, Refusal> {
        let wanted = Wanted::read(action, form)?;
        if wanted.duration > conditions.longest.unwrap_or(self.longest) {
            let message =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Refusal::new(Code::ValidationError, message));
        }
        Ok(wanted)
    }

    /// Who signed: a session of ours, or the node.
    fn caller(&self, headers: &HeaderMap, call: &mut Call) -> Result<Identity, Refusal> {
        let signer = self.signatures.check(headers, call.at)?;
        call.signed_by(&signer);
        if let Some(session) = self.sessions.find(&signer.access_key_id) {
            return identity_of(&session, signer.session_token.as_deref(), call.at);
        }
        let is_node = signer.access_key_id.starts_with(LEAK_MARK);
        match self.unknown_keys {
            UnknownKeys::Refuse if !is_node => Err(Code::InvalidClientTokenId.into()),
            UnknownKeys::Refuse | UnknownKeys::Node => Ok(self.node.identity()),
        }
    }

    fn play(&self, asked: Asked, script: Script, call: &mut Call) -> Reply {
        match script.fault {
            None => Reply::Answer(self.grant(asked, script, call)),
            Some(Fault::Error(code)) => refuse(call, &asked.refusal(code)),
            Some(Fault::Garbage) => {
                call.outcome = Outcome::Garbage;
                Reply::Answer(answers::garbage())
            }
            Some(Fault::Cut) => {
                let answer = self.grant(asked, script, call);
                call.outcome = Outcome::Cut;
                Reply::Answer(answers::cut(answer))
            }
            Some(Fault::Close) => {
                call.outcome = Outcome::Closed;
                Reply::Close
            }
            Some(Fault::Hang) => {
                call.outcome = Outcome::Hung;
                Reply::Hang
            }
        }
    }

    fn grant(&self, asked: Asked, script: Script, call: &mut Call) -> Response {
        call.outcome = Outcome::Granted;
        let mut open = |action, subject, mut wanted: Wanted| {
            wanted.token_size = wanted.token_size.max(script.token);
            let terms = Terms {
                action,
                subject,
                now: call.at,
                length: script.session.unwrap_or(wanted.duration),
            };
            let session = self.sessions.open(wanted, terms);
            call.issued = Some(session.issued.access_key_id.clone());
            session
        };
        match asked {
            Asked::Role(_, wanted) => {
                answers::assumed_role(&open(Action::AssumeRole, None, wanted))
            }
            Asked::RoleWithWebIdentity(claims, wanted) => {
                let subject = Some(claims.subject.clone());
                let session = open(Action::AssumeRoleWithWebIdentity, subject, wanted);
                answers::assumed_role_with_web_identity(&session, &claims)
            }
            Asked::Identity(caller) => answers::caller_identity(&caller),
        }
    }
}

impl Asked {
    const fn action(&self) -> Action {
        match self {
            Self::Role(..) => Action::AssumeRole,
            Self::RoleWithWebIdentity(..) => Action::AssumeRoleWithWebIdentity,
            Self::Identity(_) => Action::GetCallerIdentity,
        }
    }

    fn role(&self) -> Option<&str> {
        match self {
            Self::Role(_, wanted) | Self::RoleWithWebIdentity(_, wanted) => Some(&wanted.role.arn),
            Self::Identity(_) => None,
        }
    }

    /// An error that the rules want, in the words of STS.
    fn refusal(&self, code: Code) -> Refusal {
        match (code, self) {
            (Code::AccessDenied, Self::Role(caller, wanted)) => {
                not_authorized(caller, "sts:AssumeRole", &wanted.role.arn)
            }
            (Code::AccessDenied, Self::RoleWithWebIdentity(..)) => provider::not_authorized(),
            _ => code.into(),
        }
    }
}

fn refuse(call: &mut Call, refusal: &Refusal) -> Reply {
    call.outcome = Outcome::Refused(refusal.code);
    Reply::Answer(answers::refusal(refusal))
}

/// Whoever calls is a role itself, so that its sessions are chained.
fn check_chaining(wanted: &Wanted) -> Result<(), Refusal> {
    if wanted.duration <= CHAINED {
        return Ok(());
    }
    let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
    Err(Refusal::new(Code::ValidationError, message))
}

/// The role trusts whoever calls, but not to tag sessions.
fn check_tags(wanted: &Wanted, caller: &Identity, tags: Tagging) -> Result<(), Refusal> {
    match tags {
        Tagging::Refused if !wanted.tags.is_empty() => {
            Err(not_authorized(caller, "sts:TagSession", &wanted.role.arn))
        }
        Tagging::Refused | Tagging::Allowed => Ok(()),
    }
}

fn not_authorized(caller: &Identity, action: &str, role: &str) -> Refusal {
    let who = &caller.arn;
    let message = format!("User: {who} is not authorized to perform: {action} on resource: {role}");
    Refusal::new(Code::AccessDenied, message)
}

/// Whose `session` is, if the call carries its token and it is not over.
fn identity_of(
    session: &Session,
    token: Option<&str>,
    now: Timestamp,
) -> Result<Identity, Refusal> {
    if token != Some(&session.token) {
        return Err(Code::InvalidClientTokenId.into());
    }
    if now >= session.issued.expires {
        return Err(Code::ExpiredToken.into());
    }
    Ok(Identity {
        arn: session.issued.arn.clone(),
        user_id: session.user_id.clone(),
        account: session.account.clone(),
    })
}
