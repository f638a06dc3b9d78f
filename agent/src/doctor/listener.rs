//! Whether pods reach the agent: a connection from inside their network namespaces to where it listens, and nothing more.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    Check, Finding,
    netns::{self, Outcome},
};

/// How long one connection may take: it does not leave the node.
const CONNECT: Duration = Duration::from_secs(2);
/// So many namespaces are tried. What keeps one pod away mostly keeps all.
const ENOUGH: usize = 32;

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    dir: PathBuf,
    /// Where the agent listens, if one answers.
    listeners: Option<Vec<SocketAddr>>,
    tried: Result<Vec<(String, Outcome)>, String>,
}

pub(super) fn gather(dir: &Path, listeners: Option<Vec<SocketAddr>>) -> Facts {
    let targets = listeners.as_deref().unwrap_or_default();
    let tried = match netns::names(dir) {
        Ok(_) if targets.is_empty() => Ok(Vec::new()),
        Ok(paths) => Ok(try_all(&paths, targets)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    };
    Facts {
        dir: dir.to_owned(),
        listeners,
        tried,
    }
}

/// All at the same time.
fn try_all(paths: &[PathBuf], targets: &[SocketAddr]) -> Vec<(String, Outcome)> {
    let attempt = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        let outcome = netns::attempt(path, targets, CONNECT);
        (name.to_string_lossy().into_owned(), outcome)
    };
    thread::scope(|scope| {
        let paths = paths.iter().take(ENOUGH);
        let threads: Vec<_> = paths
            .map(|path| scope.spawn(move || attempt(path)))
            .collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined.filter_map(Result::ok).collect()
    })
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let by_hand = format!(
        "on the node, as root: nsenter --net={}/NAME curl -i http://ADDRESS:PORT/ (where the agent listens, as `bpf2iam status` says)",
        facts.dir.display()
    );
    let unknown = |why: String| {
        let what = format!("whether pods reach the agent cannot be told: {why}");
        vec![Finding::warning(Check::Listener, what, &*by_hand)]
    };
    let Some(listeners) = &facts.listeners else {
        return unknown("no agent answers".to_owned());
    };
    let tried = match &facts.tried {
        Ok(tried) => tried,
        Err(error) => return unknown(format!("{}: {error}", facts.dir.display())),
    };
    let failures: Vec<_> = tried.iter().filter_map(failure).collect();
    if !failures.is_empty() {
        return failures;
    }
    let count = |wanted| {
        tried
            .iter()
            .filter(|(_, outcome)| *outcome == wanted)
            .count()
    };
    let listeners: Vec<_> = listeners.iter().map(ToString::to_string).collect();
    let listeners = listeners.join(", ");
    match (count(Outcome::Reached), count(Outcome::Denied)) {
        (0, 0) => unknown(format!(
            "{} has no network namespace of a pod (--netns-dir)",
            facts.dir.display()
        )),
        (0, _) => unknown("this process may not enter their namespaces (CAP_SYS_ADMIN)".to_owned()),
        (reached, _) => {
            let what = format!(
                "the agent is reached at {listeners} from inside {reached} network namespaces"
            );
            vec![Finding::ok(Check::Listener, what)]
        }
    }
}

fn failure((name, outcome): &(String, Outcome)) -> Option<Finding> {
    let Outcome::Failed(target, error) = outcome else {
        return None;
    };
    Some(Finding::problem(
        Check::Listener,
        format!(
            "from inside the network namespace {name} the agent is not reached at {target}: {error}"
        ),
        format!(
            "let pods connect to {target}: network policies (egress), the node's firewall (INPUT), and with security \
             groups for pods POD_SECURITY_GROUP_ENFORCING_MODE=standard"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn pods_must_reach_the_agent_and_what_is_not_known_is_said() {
        use Outcome::{Denied, NoRoute, NotOne, Reached};
        let target: SocketAddr = "10.0.0.1:8181".parse().unwrap();
        let failed = || Outcome::Failed(target, "timed out".to_owned());
        for (agent, tried, verdict, says) in [
            (
                true,
                Ok(vec![Reached, NoRoute, NotOne, Reached]),
                Verdict::Ok,
                "at 10.0.0.1:8181 from inside 2 ",
            ),
            (
                true,
                Ok(vec![Reached, failed()]),
                Verdict::Problem,
                "namespace pod1 the agent is not reached at 10.0.0.1:8181: timed out",
            ),
            (
                true,
                Ok(vec![Denied, NotOne]),
                Verdict::Warning,
                "CAP_SYS_ADMIN",
            ),
            (
                true,
                Ok(vec![NoRoute, NotOne]),
                Verdict::Warning,
                "/n has no network namespace of a pod",
            ),
            (
                true,
                Ok(vec![]),
                Verdict::Warning,
                "/n has no network namespace",
            ),
            (true, Err("broken"), Verdict::Warning, "/n: broken"),
            (
                false,
                Ok(vec![NoRoute]),
                Verdict::Warning,
                "no agent answers",
            ),
        ] {
            let name = |(at, outcome)| (format!("pod{at}"), outcome);
            let found = judge(&Facts {
                dir: "/n".into(),
                listeners: agent.then(|| vec![target]),
                tried: tried
                    .map(|tried| tried.into_iter().enumerate().map(name).collect())
                    .map_err(ToOwned::to_owned),
            });
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_namespace_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("stale"), "").unwrap();
        let listeners = Some(vec!["127.0.0.1:1".parse().unwrap()]);
        let tried = gather(dir.path(), listeners.clone()).tried.unwrap();
        assert_eq!(tried, [("stale".to_owned(), Outcome::NotOne)]);
        let none = gather(&dir.path().join("none"), listeners);
        assert_eq!(none.tried, Ok(vec![]));
    }
}
