//! A connection that the agent makes as a pod would make it: by a process of its own, from a cgroup below the pods', to the
//! metadata address. When it came back attested, everything works that stands between a pod and its keys: the programs are
//! attached and obey us, our listener can be reached, and the record leads to the cgroup.
//!
//! The cgroup is thrown away. One that is left by an agent that was killed meanwhile is removed with the next.

mod cgroup;
mod pod;

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use bpf2iam_ebpf::{address::Address, decide::METADATA_PORT};
use tokio::{process::Command, time};

use crate::{attest::Own, digest::Digest, drain, readiness::Guard};

use cgroup::Throwaway;

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
}

/// What is tried.
#[derive(Debug)]
pub struct Trial {
    kubepods: PathBuf,
    own: Own,
    addresses: Vec<SocketAddr>,
}

impl Trial {
    /// A trial of what is attached to the cgroup at `kubepods` and leads to `listeners`; `own` knows when it came.
    pub fn new(kubepods: PathBuf, own: Own, listeners: &[SocketAddr]) -> Self {
        let addresses = listeners.iter().map(metadata).collect();
        Self {
            kubepods,
            own,
            addresses,
        }
    }

    /// Tries until it goes well, and drops `pending` then.
    pub async fn run(self, pending: Guard, mut drain: drain::Watch) {
        tokio::select! {
            () = self.succeed() => drop(pending),
            () = drain.signaled() => return,
        }
        drain.signaled().await;
    }

    async fn succeed(&self) {
        let warnings = Digest::default();
        while let Err(error) = self.attempt().await {
            if let Some(count) = warnings.add("trial") {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    count,
                    "a connection of the agent's own, made as a pod makes it, failed: {error:#}"
                );
            }
            time::sleep(PAUSE).await;
        }
    }

    /// All addresses, one after another.
    async fn attempt(&self) -> Result<(), Error> {
        left(&self.kubepods).iter().for_each(remove);
        let cgroup = Throwaway::make(&self.kubepods);
        let cgroup = cgroup.map_err(|error| Error::Cgroup(self.kubepods.clone(), error))?;
        let tried = self.connect_to_all(&cgroup).await;
        cgroup.remove().await;
        tried
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
                let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
                return Err(Error::Refused(said));
            }
            self.own.seen(cgroup.id()).await;
            Ok(())
        };
        let ended = time::timeout(PATIENCE, ended).await;
        ended.unwrap_or(Err(Error::Lost(address)))
    }
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
        let error = anyhow::Error::from(trial.attempt().await.unwrap_err());
        let error = format!("{error:#}");
        assert!(
            error.starts_with("cannot make a cgroup below /proc/self/fdinfo (the agent needs"),
            "{error}"
        );
    }
}
