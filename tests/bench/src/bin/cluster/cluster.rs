//! The objects that there are, and who shall have which role.

use std::collections::BTreeMap;

use anyhow::Result;
use bpf2iam_standins::apiserver::{ApiServer, Kind};
use serde_json::Value;

use crate::{
    objects::{self, Pod},
    order::{Bound, Place},
};

/// So many roles are shared by the pods of the node whose annotations name them.
pub(crate) const ROLES: usize = 75;

/// Of so many ServiceAccounts one has a role.
const BOUND: usize = 10;

/// Of so many pods of the node one runs as a ServiceAccount that has a role.
const WEB_IDENTITIES: usize = 10;

/// A node that no agent knows.
const ELSEWHERE: &str = "node-0";

/// How much there is.
#[derive(clap::Args)]
pub(crate) struct Size {
    /// Pods of the node
    #[arg(long, default_value_t = 250)]
    node_pods: usize,
    /// Pods of all nodes
    #[arg(long, default_value_t = 5000)]
    pods: usize,
    #[arg(long, default_value_t = 500)]
    namespaces: usize,
    /// ServiceAccounts, in all namespaces alike
    #[arg(long, default_value_t = 20_000)]
    service_accounts: usize,
}

/// The cluster.
pub(crate) struct Cluster {
    api: ApiServer,
    node: String,
    base_arn: String,
    size: Size,
}

impl Cluster {
    pub(crate) const fn new(api: ApiServer, node: String, base_arn: String, size: Size) -> Self {
        Self {
            api,
            node,
            base_arn,
            size,
        }
    }

    pub(crate) const fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Makes everything that there is at the beginning.
    pub(crate) fn fill(&self) -> Result<()> {
        let size = &self.size;
        self.api.put(objects::node(&self.node))?;
        let in_each = (size.service_accounts / size.namespaces).max(BOUND);
        for number in 0..size.namespaces {
            let namespace = namespace(number);
            self.api.put(objects::namespace(&namespace))?;
            for account in 0..in_each {
                let role = (account % BOUND == 1).then(|| self.bound_role(number, account));
                let account = service_account(account);
                self.api.put(objects::service_account(
                    &namespace,
                    &account,
                    role.as_deref(),
                ))?;
            }
        }
        for number in 0..size.pods {
            let pod = if number < size.node_pods {
                self.resident(number)
            } else {
                elsewhere(number, size.namespaces)
            };
            self.api.put(objects::pod(&pod))?;
        }
        Ok(())
    }

    /// Lets the containers of the pods start that stay on the node. An agent that finds them running has time to get keys
    /// for them; so they wait until it has.
    pub(crate) fn start_residents(&self) -> Result<()> {
        for number in 0..self.size.node_pods {
            let pod = self.resident(number).running(number);
            self.api.put(objects::pod(&pod))?;
        }
        Ok(())
    }

    /// A pod of the node that stays.
    fn resident(&self, number: usize) -> Pod {
        let namespace = namespace(number % self.size.namespaces);
        let pod = Pod::new(number, &self.node, &namespace);
        if number.is_multiple_of(WEB_IDENTITIES) {
            return pod.runs_as(&service_account(1));
        }
        pod.role(&role(number))
    }

    /// A pod that comes or goes, with one of the roles that stay in use meanwhile.
    pub(crate) fn passing(&self, number: usize, place: Place) -> Pod {
        let node = match place {
            Place::Here => &self.node,
            Place::Elsewhere => ELSEWHERE,
        };
        Pod::new(number, node, &namespace(0)).role(&role(number))
    }

    /// A pod of the node that waits for its containers.
    pub(crate) fn bound(&self, number: usize, pod: &Bound) -> Pod {
        Pod::new(number, &self.node, &namespace(0))
            .called(&pod.name, &pod.uid)
            .role(&pod.role)
    }

    fn bound_role(&self, namespace: usize, account: usize) -> String {
        format!("{}bound-{namespace}-{account}", self.base_arn)
    }

    /// The role that each pod of the node shall have, by UID.
    pub(crate) fn roles(&self) -> BTreeMap<String, String> {
        let pods = self.api.objects(Kind::Pod).into_iter();
        let here = pods.filter(|pod| pod["spec"]["nodeName"] == *self.node);
        here.map(|pod| {
            let uid = text(&pod["metadata"]["uid"]);
            (uid.to_owned(), self.role_of(&pod).unwrap_or_default())
        })
        .collect()
    }

    fn role_of(&self, pod: &Value) -> Option<String> {
        let metadata = &pod["metadata"];
        let own = text(&metadata["annotations"][objects::ROLE]);
        if !own.is_empty() {
            return Some(format!("{}{own}", self.base_arn));
        }
        let (namespace, name) = (&metadata["namespace"], &pod["spec"]["serviceAccountName"]);
        let account = self
            .api
            .get(Kind::ServiceAccount, text(namespace), text(name))?;
        Some(text(&account["metadata"]["annotations"][objects::ROLE_ARN]).to_owned())
    }
}

/// The name of a role that pods of the node have.
pub(crate) fn role(number: usize) -> String {
    format!("team-{}", number % ROLES)
}

pub(crate) fn namespace(number: usize) -> String {
    format!("team-{number}")
}

fn service_account(number: usize) -> String {
    match number {
        0 => "default".to_owned(),
        _ => format!("app-{number}"),
    }
}

fn elsewhere(number: usize, namespaces: usize) -> Pod {
    let node = format!("node-{}", number % 19);
    Pod::new(number, &node, &namespace(number % namespaces)).running(number)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
