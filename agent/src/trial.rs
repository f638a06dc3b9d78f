//! A connection that the agent makes as a pod would make it: by a process of its own, from a cgroup below the pods', to the
//! metadata address. When it came back attested, everything works that stands between a pod and its keys: the programs are
//! attached and obey us, our listener can be reached, and the record leads to the cgroup.
//!
//! In a cgroup namespace of our own, as every container has one that is not privileged, a process can be moved no further than below
//! our own cgroup, where systemd has mounted the tree (`nsdelegate`). We are a pod there, and the trial is made from below it.
//!
//! The cgroup is thrown away, also when the agent ends meanwhile. One that is left by an agent that was killed meanwhile is removed with the next.

mod cgroup;
mod pod;

use std::{
    future::pending,
    io,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use bpf2iam_ebpf::{address::Address, decide::METADATA_PORT};
use tokio::{process::Command, time};

use crate::{attest::Own, digest::Digest, drain, readiness::Guard};

use cgroup::{Throwaway, remove_unused};

pub use cgroup::{left, remove};
pub use pod::be_a_pod;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait after one that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Why it failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(
        "cannot make a cgroup below {} (the agent needs the node's cgroup file system, writable)", .0.display()
    )]
    Cgroup(PathBuf, #[source] io::Error),
    #[error("cannot start a process of our own")]
    Process(#[source] io::Error),
    #[error("it did not come back from {0} within {PATIENCE:?}")]
    Lost(SocketAddr),
    #[error("{0}")]
    Refused(String),
    #[error("it was ended before it came back")]
    Ended,
}

/// What is tried.
#[derive(Debug)]
pub struct Trial {
    parent: PathBuf,
    own: Own,
    addresses: Vec<SocketAddr>,
    /// Hears when it is to end before all else.
    end: Option<drain::Watch>,
}

impl Trial {
    /// A trial, from a cgroup below `parent`, of what is attached there or above and leads to `listeners`; `own` knows when it came.
    pub fn new(parent: PathBuf, own: Own, listeners: &[SocketAddr]) -> Self {
        let addresses = listeners.iter().map(metadata).collect();
        Self {
            parent,
            own,
            addresses,
            end: None,
        }
    }

    /// Ends it before the rest of the agent, when it drains: after that no connection is made any more, and the
    /// cgroup is gone. So it must be before the programs go, or a trial could reach the real service. Whoever drops it ends
    /// the trial as well.
    pub fn ender(&mut self) -> drain::Signal {
        let (signal, end) = drain::channel();
        self.end = Some(end);
        signal
    }

    /// Tries until it goes well, and drops `pending` then.
    pub async fn run(mut self, pending: Guard, mut drain: drain::Watch) {
        let mut end = Either::of(self.end.take(), drain.clone());
        if self.succeed(&mut end).await.is_ok() {
            drop(pending);
        }
        // Whoever waits for its end has waited long enough; a part of the agent does not end before that.
        drop(end);
        drain.signaled().await;
    }

    /// Tries until it goes well or is ended.
    async fn succeed(&self, end: &mut Either) -> Result<(), Error> {
        let warnings = Digest::default();
        loop {
            let error = match self.attempt(end).await {
                Err(error) if !matches!(error, Error::Ended) => error,
                ended => return ended,
            };
            if let Some(count) = warnings.add("trial") {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    count,
                    "a connection of the agent's own, made as a pod makes it, failed: {error:#}"
                );
            }
            end.within(time::sleep(PAUSE)).await?;
        }
    }

    /// All addresses, one after another. It is not dropped in the middle: what was begun is taken away again.
    async fn attempt(&self, end: &mut Either) -> Result<(), Error> {
        left(&self.parent).iter().for_each(remove_unused);
        let cgroup = Throwaway::make(&self.parent);
        let cgroup = cgroup.map_err(|error| Error::Cgroup(self.parent.clone(), error))?;
        let tried = end.within(self.connect_to_all(&cgroup)).await;
        // A process that was in the way of the end is killed now, and the cgroup goes when that is gone.
        cgroup.remove().await;
        tried?
    }

    async fn connect_to_all(&self, cgroup: &Throwaway) -> Result<(), Error> {
        for address in &self.addresses {
            self.connect(cgroup, *address).await?;
        }
        Ok(())
    }

    async fn connect(&self, cgroup: &Throwaway, address: SocketAddr) -> Result<(), Error> {
        self.own.expect(cgroup.id());
        let pod = Command::new("/proc/self/exe")
            .args(["trial".as_ref(), cgroup.path().as_os_str()])
            .arg(address.to_string())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::Process)?;
        let ended = async {
            let ended = pod.wait_with_output().await.map_err(Error::Process)?;
            if !ended.status.success() {
                return Err(refused(&ended));
            }
            self.own.seen(cgroup.id()).await;
            Ok(())
        };
        let ended = time::timeout(PATIENCE, ended).await;
        ended.unwrap_or(Err(Error::Lost(address)))
    }
}

/// The end of the trial, or that of the whole agent.
#[derive(Debug)]
struct Either {
    own: Option<drain::Watch>,
    all: drain::Watch,
}

impl Either {
    const fn of(own: Option<drain::Watch>, all: drain::Watch) -> Self {
        Self { own, all }
    }

    /// What comes of `work`, unless the end comes first.
    async fn within<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let own = async {
            match &mut self.own {
                Some(own) => own.signaled().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.all.signaled() => Err(Error::Ended),
            () = own => Err(Error::Ended),
            done = work => Ok(done),
        }
    }
}

/// Why the process failed: what it says, or how it ended.
fn refused(ended: &Output) -> Error {
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Error::Refused(if said.is_empty() {
        format!("its process ended without a word: {}", ended.status)
    } else {
        said
    })
}

/// The metadata address that leads to `listener`.
fn metadata(listener: &SocketAddr) -> SocketAddr {
    let ip = match listener {
        SocketAddr::V4(_) => Ipv6Addr::from(Address::METADATA_V4.octets()).to_canonical(),
        SocketAddr::V6(_) => Ipv6Addr::from(Address::METADATA_V6.octets()).into(),
    };
    SocketAddr::new(ip, METADATA_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_tried_that_has_a_listener() {
        let listeners = ["10.0.0.7:4000", "[fd00::7]:4000"].map(|text| text.parse().unwrap());
        let own = Own::default();
        let trial = Trial::new("/kubepods".into(), own, &listeners);
        let addresses = ["169.254.169.254:80", "[fd00:ec2::254]:80"];
        assert_eq!(
            trial.addresses,
            addresses.map(|text| text.parse::<SocketAddr>().unwrap())
        );
    }

    #[tokio::test]
    async fn without_a_cgroup_it_is_said_what_is_needed() {
        let trial = Trial::new("/proc/self/fdinfo".into(), Own::default(), &[]);
        let (_signal, drain) = drain::channel();
        let mut never = Either::of(None, drain);
        let error = trial.attempt(&mut never).await.unwrap_err();
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(
            error.starts_with("cannot make a cgroup below /proc/self/fdinfo (the agent needs"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn whoever_ends_it_waits_until_it_has_ended_and_it_stays_a_part_of_the_agent() {
        // It fails, and waits for the next time.
        let mut trial = Trial::new("/proc/self/fdinfo".into(), Own::default(), &[]);
        let (end, (all, drain)) = (trial.ender(), drain::channel());
        let readiness = crate::readiness::Readiness::new();
        let running = tokio::spawn(trial.run(readiness.guard("the trial"), drain));
        assert!(end.drain(PATIENCE).await);
        assert!(!running.is_finished());
        assert!(all.drain(PATIENCE).await);
        running.await.unwrap();
    }

    #[test]
    fn a_process_that_says_nothing_is_told_of_by_its_end() {
        let killed = std::process::Command::new("sh");
        let ended = { killed }.args(["-c", "kill -9 $$"]).output().unwrap();
        let says = "its process ended without a word: signal: 9 (SIGKILL)";
        assert_eq!(refused(&ended).to_string(), says);
    }
}
