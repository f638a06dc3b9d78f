//! Whether Kubernetes knows this node by the name that we have for it.
//!
//! Pods are listed by the name of their node. Under a wrong one there are none, nothing fails, and every pod that runs here would be
//! refused for good. So the agent is not ready, and takes nothing over from another one, until there is a node of its name.
//! A node may be registered later than we start: it is looked for until then, each time for little. Where we may not look,
//! that is said, and the name is taken for right.

use std::{fmt, time::Duration};

use kube::Client;
use tokio::time;

use crate::{drain, readiness::Guard};

use super::{
    ask::{self, Failure},
    trouble::{Trouble, about},
};

/// What the agent waits for.
pub const KNOWN: &str = "this node to be known to Kubernetes";

/// A kubelet that has just registered its node wants pods to run soon.
const LONGEST: Duration = Duration::from_secs(10);

/// What does not work meanwhile.
const UNKNOWN: &str =
    "cannot find this node in Kubernetes; until it is there, no pod is known to be on it";

/// Looks the node up.
pub struct Known {
    client: Client,
    node: String,
    pending: Guard,
}

impl Known {
    /// For the node of this name; `pending` is held until it is known.
    pub fn new(client: Client, node: &str, pending: Guard) -> Self {
        Self {
            client,
            node: node.to_owned(),
            pending,
        }
    }

    /// Looks until the node is there, and then waits for the drain.
    pub async fn run(self, mut drain: drain::Watch) {
        let Self {
            client,
            node,
            pending,
        } = self;
        tokio::select! {
            () = drain.signaled() => return,
            () = look(&client, &node) => drop(pending),
        }
        drain.signaled().await;
    }
}

async fn look(client: &Client, node: &str) {
    let mut trouble = Trouble::new(UNKNOWN);
    loop {
        let failure = match ask::get(client, node).await {
            Ok(_node) => return trouble.is_over(),
            Err(failure) => failure,
        };
        if let Failure::Forbidden(error) = &failure {
            tracing::warn!(
                error,
                node,
                "cannot check that --node-name is the name of this node in Kubernetes; going on as if it were"
            );
            return;
        }
        let pause = trouble.goes_on(&failure).min(LONGEST);
        time::sleep(about(pause)).await;
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        kubernetes::node::tests::{Said, node, refused, server},
        readiness::Readiness,
        telemetry::testing::Logged,
    };

    use super::*;

    /// How long the agent is not ready with a server that says this, and how often that was asked.
    async fn until_known(script: Vec<Said>) -> (Duration, usize) {
        let (client, asked) = server(script);
        let readiness = Readiness::new();
        let known = Known::new(client, "node-1", readiness.guard(KNOWN));
        let (signal, drain) = drain::channel();
        let task = tokio::spawn(known.run(drain));
        let begun = time::Instant::now();
        readiness.ready().await;
        let took = begun.elapsed();
        time::sleep(Duration::from_hours(1)).await;
        assert!(signal.drain(Duration::from_secs(1)).await);
        task.await.unwrap();
        let times = asked.lock().unwrap().len();
        (took, times)
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_there_is_asked_for_once() {
        let (logged, _listens) = Logged::listen();
        let (took, times) = until_known(vec![node(None)]).await;
        assert_eq!((took, times), (Duration::ZERO, 1));
        assert!(logged.lines("").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_comes_later_is_waited_for_and_that_is_said() {
        let (logged, _listens) = Logged::listen();
        let absent = || refused(404, "NotFound", "nodes \"node-1\" not found");
        let busy = refused(500, "InternalError", "etcd");
        let mut script = vec![absent(); 20];
        script.extend([busy, Said::Nothing, node(None)]);
        let (took, times) = until_known(script).await;
        assert_eq!(times, 23);
        assert!(took <= LONGEST * 23, "{took:?}");
        for (text, count) in [
            ("there is no node node-1; --node-name has to be its name", 1),
            ("cannot find this node in Kubernetes", 3),
            ("WARN", 3),
            ("tells of this node again", 1),
        ] {
            assert_eq!(logged.lines(text).len(), count, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_not_look_goes_on_with_one_warning() {
        let (logged, _listens) = Logged::listen();
        let (took, times) = until_known(vec![refused(403, "Forbidden", "no")]).await;
        assert_eq!((took, times), (Duration::ZERO, 1));
        let warnings = logged.lines("WARN");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for part in ["may not get nodes", "rbac.yaml", "--node-name"] {
            assert!(warnings[0].contains(part), "{warnings:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_does_not_wait_for_a_node_that_never_comes() {
        let (client, _asked) = server(vec![Said::Nothing]);
        let readiness = Readiness::new();
        let known = Known::new(client, "node-1", readiness.guard(KNOWN));
        let (signal, drain) = drain::channel();
        let task = tokio::spawn(known.run(drain));
        time::sleep(Duration::from_mins(10)).await;
        assert_eq!(readiness.pending(), [KNOWN]);
        assert!(signal.drain(Duration::from_millis(1)).await);
        task.await.unwrap();
    }
}
