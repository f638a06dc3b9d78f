//! What a pod's role gives it: the iam tree.

use tokio::time::{self, Instant};

use crate::{
    creds::{Identity, State},
    id::RoleArn,
    imds::{
        answer::{self, Standing, answer},
        response::Answer,
        route::Resource,
    },
    pods::{
        binding::{Binding, Rule},
        compat::Compat,
    },
};

use super::{Seen, Service, Supply};

impl<S: Supply> Service<S> {
    pub(super) async fn bound(
        &self,
        binding: &Binding,
        resource: &Resource,
        deadline: Instant,
        seen: &mut Seen,
    ) -> Answer {
        let now = || self.clock.now();
        match binding {
            Binding::Role(identity, _rule) => {
                let state = self.state(identity, resource, deadline).await;
                seen.note(identity, &state);
                let standing = Standing::Role(&identity.role, &state);
                answer(resource, standing, now())
            }
            Binding::Nothing(rule) => answer(resource, self.nothing(*rule), now()),
            // Where there is no real service to pass it on to, the node has no role.
            Binding::Node(_rule) => answer(resource, Standing::Nothing, now()),
            Binding::Invalid(_rule, reason) => {
                seen.error = Some(reason.to_string());
                answer(resource, Standing::Invalid, now())
            }
            Binding::Forbidden(role, refusal) => {
                seen.role = Some(role.clone());
                seen.error = Some(refusal.to_string());
                answer(resource, Standing::Forbidden, now())
            }
            Binding::Unknown(missing) => {
                seen.error = Some(missing.to_string());
                answer(resource, Standing::Unknown, now())
            }
        }
    }

    /// How a pod without a role stands. kube2iam's "default role" was the bare base ARN where there was none, and its
    /// name was nothing.
    fn nothing(&self, rule: Option<Rule>) -> Standing<'static> {
        let policy = self.pods.policy();
        let named_by_base = policy.compat == Compat::Kube2iam && policy.base_arn.is_some();
        if named_by_base && rule.is_none() {
            Standing::Nameless
        } else {
            Standing::Nothing
        }
    }

    /// What there is for `identity`; if `resource` needs keys, after waiting for them.
    async fn state(&self, identity: &Identity, resource: &Resource, deadline: Instant) -> State {
        let mut states = self.credentials.watch(identity);
        if needs_keys(resource, &identity.role) {
            let settled = states.wait_for(|state| answer::settled(state, self.clock.now()));
            // Neither a lost cache nor a lapse of time is an answer; the last state is.
            let _settled = time::timeout_at(deadline, settled).await.is_ok();
        }
        states.borrow().clone()
    }
}

/// Whether the answer depends on keys. For another role's name it does not, whatever STS says.
fn needs_keys(resource: &Resource, role: &RoleArn) -> bool {
    match resource {
        Resource::RoleList => true,
        Resource::RoleCredentials(name) => name == role.name(),
        Resource::Versions
        | Resource::Iam
        | Resource::IamInfo
        | Resource::Tree(_)
        | Resource::Absent => false,
    }
}
