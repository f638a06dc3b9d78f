//! Pods that have a role and get no keys for it: their namespace does not let them have it, STS denies it, or STS says
//! nothing. Every client fails as it does where there is no role, or where the metadata service is slow. A pod beside
//! them that has keys notices nothing.

use anyhow::Result;
use bpf2iam_support::{
    manifest,
    pod::Spec,
    stage::{BASE_ARN, Stage},
};
use serde_json::{Value, json};

use super::{
    cast::ask_for_keys,
    client::Client,
    column::Column,
    kit::Kit,
    member::Member,
    ran::{at_once, slowest},
    reference::{Lack, Reference},
    table::Table,
    task::Task,
    transport::Transport,
    verdict::{Expected, judge},
};

/// So that the agent looks at what namespaces allow.
pub(super) const FLAG: &str = "--namespace-restrictions";

/// The namespaces, and the roles that each allows.
const NAMESPACES: [(&str, &str); 2] = [("shop", "*"), ("vault", "janitor")];

/// The pod that has keys, and its role.
const GRANTED: &str = "granted";
const ROLE: &str = "trusting";

/// A pod that gets nothing, and why.
struct Refusal {
    namespace: &'static str,
    pod: &'static str,
    role: &'static str,
    lack: Lack,
    /// What STS does.
    sts: Option<fn() -> Value>,
}

const REFUSALS: [Refusal; 3] = [
    Refusal {
        namespace: "vault",
        pod: "forbidden",
        role: "treasurer",
        lack: Lack::Role,
        sts: None,
    },
    Refusal {
        namespace: "shop",
        pod: "denied",
        role: "untrusting",
        lack: Lack::Role,
        sts: Some(|| json!({"error": "AccessDenied"})),
    },
    Refusal {
        namespace: "shop",
        pod: "silent",
        role: "unheard",
        lack: Lack::Answer,
        sts: Some(|| json!("hang")),
    },
];

/// What STS is told about their roles.
pub(super) fn rules() -> Vec<Value> {
    let rule = |refusal: &Refusal| {
        let role = format!("{BASE_ARN}{}", refusal.role);
        Some(json!({"role": role, "do": {"fault": refusal.sts?()}}))
    };
    REFUSALS.iter().filter_map(rule).collect()
}

/// Makes the namespaces, before the agent is there.
pub(super) fn prepare(stage: &Stage) -> Result<()> {
    for (namespace, role) in NAMESPACES {
        let allowed = json!([role]).to_string();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "annotations": {"iam.amazonaws.com/allowed-roles": allowed},
            },
        });
        manifest::write(&stage.manifests(), namespace, &object)?;
    }
    Ok(())
}

/// Runs every client in all of these pods at once.
pub(super) fn play(
    stage: &Stage,
    kit: &Kit,
    reference: &Reference,
    table: &mut Table,
) -> Result<()> {
    let members = members(stage)?;
    for client in Client::ALL {
        let command = |(member, refusal)| {
            let command = Member::command(member, kit, client, Transport::Ipv4, Task::Caller)?;
            Ok(((member, refusal), command))
        };
        let cast = members.iter().map(|(member, refusal)| (member, *refusal));
        let commands: Result<_> = cast.map(command).collect();
        let all = at_once(commands?);
        let meanwhile = slowest(&all);
        for ((member, refusal), ran) in all {
            let verdict = ran
                .map_err(|error| format!("{error:#}"))
                .and_then(|ran| match refusal {
                    None => member.judge(&ran),
                    Some(Refusal { lack, .. }) => {
                        let expected = Expected::Nobody {
                            lament: client.lament(*lack),
                            limit: reference.limit(client, *lack, meanwhile),
                        };
                        judge(&expected, &ran)
                    }
                });
            table.show(client, Column::Refused, ["refused", member.name()], verdict);
        }
    }
    Ok(())
}

/// The pods. The first is not refused anything, and has its keys before any other is there.
fn members(stage: &Stage) -> Result<Vec<(Member, Option<&'static Refusal>)>> {
    let granted = stage.add_pod_with_role(GRANTED, ROLE)?;
    ask_for_keys(&granted)?;
    let mut members = vec![(Member::new(stage, granted, Some(ROLE))?, None)];
    for refusal in &REFUSALS {
        members.push((member(stage, refusal)?, Some(refusal)));
    }
    Ok(members)
}

fn member(stage: &Stage, refusal: &Refusal) -> Result<Member> {
    let spec = Spec::new(refusal.namespace, refusal.pod)
        .annotation("iam.amazonaws.com/role", refusal.role);
    Member::new(stage, stage.add_pod(spec)?, Some(refusal.role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sts_does_is_told_to_it_and_what_namespaces_do_is_not() {
        let rules = rules();
        assert_eq!(rules.len(), 2);
        assert_eq!(
            rules[1],
            json!({"role": format!("{BASE_ARN}unheard"), "do": {"fault": "hang"}})
        );
    }

    #[test]
    fn the_one_namespace_does_not_allow_what_its_pod_wants() {
        for refusal in &REFUSALS {
            let found = NAMESPACES
                .iter()
                .find(|(name, _)| *name == refusal.namespace);
            let allows = found.is_some_and(|(_, role)| *role == "*");
            assert_eq!(allows, refusal.sts.is_some(), "{}", refusal.pod);
        }
    }
}
