//! Attestation by what the kernel recorded.
//!
//! The SYN names a record by the client socket's cookie; the record must be of a client with the very address
//! and port that we accepted from. A forged cookie names somebody else's record, whose address differs. When
//! the SYN was lost, the address alone must fit exactly one record.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpStream, sync::Semaphore};

use crate::{
    cgroup,
    id::SocketCookie,
    redirect::{Conns, Record},
};

use super::{
    Attest, Caller, Refusal,
    syn::{self, Syn},
};

/// Asks the maps of the programs, and the cgroup tree.
#[derive(Debug)]
pub struct Kernel {
    conns: Arc<Conns>,
    cgroups: cgroup::Tree,
    /// Searching all records takes milliseconds: one at a time.
    searching: Semaphore,
}

impl Kernel {
    /// Attests with the records in `conns`.
    pub fn new(conns: Conns, cgroups: cgroup::Tree) -> Self {
        Self {
            conns: Arc::new(conns),
            cgroups,
            searching: Semaphore::new(1),
        }
    }

    fn by_cookie(&self, cookie: SocketCookie, peer: SocketAddr) -> Result<Record, Refusal> {
        let record = self
            .conns
            .get(cookie)
            .map_err(Refusal::System)?
            .ok_or(Refusal::NoRecord)?;
        if record.client != peer {
            return Err(Refusal::OtherPeer {
                recorded: record.client,
            });
        }
        Ok(record)
    }

    async fn by_address(&self, peer: SocketAddr) -> Result<Record, Refusal> {
        let turn = self.searching.acquire().await;
        let _turn = turn.map_err(|closed| Refusal::System(io::Error::other(closed)))?;
        let conns = Arc::clone(&self.conns);
        let search = tokio::task::spawn_blocking(move || conns.all());
        let all = search
            .await
            .map_err(|error| Refusal::System(io::Error::other(error)))?;
        only_one(all.map_err(Refusal::System)?, peer)
    }

    fn caller(&self, record: &Record) -> Result<Caller, Refusal> {
        let owner = self
            .cgroups
            .owner(record.cgroup)
            .map_err(|error| match error {
                cgroup::Error::Gone(id) => Refusal::CgroupGone(id),
                cgroup::Error::NotAPod(path) => Refusal::NotAPod(path),
                cgroup::Error::Resolve { source, .. } => Refusal::System(source),
            })?;
        Ok(Caller {
            cgroup: record.cgroup,
            pod: owner.pod,
            container: owner.container,
            netns: record.netns,
            via: record.via,
        })
    }
}

impl Attest for Kernel {
    async fn attest(&self, connection: &TcpStream, peer: SocketAddr) -> Result<Caller, Refusal> {
        let peer = syn::canonical(peer);
        let record = match syn::of(connection).map_err(Refusal::System)? {
            Syn::Cookie(cookie) => self.by_cookie(cookie, peer)?,
            Syn::Bare => return Err(Refusal::NoRecord),
            Syn::Lost => self.by_address(peer).await?,
        };
        self.caller(&record)
    }
}

/// The one record of a client at `peer`. Another pod may have recorded the same address from a network namespace
/// of its own: then nobody is served.
fn only_one(all: HashMap<SocketCookie, Record>, peer: SocketAddr) -> Result<Record, Refusal> {
    let mut fitting = all.into_values().filter(|record| record.client == peer);
    match (fitting.next(), fitting.count()) {
        (None, _) => Err(Refusal::NoRecord),
        (Some(record), 0) => Ok(record),
        (Some(_), others) => Err(Refusal::Ambiguous(others + 1)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        attest::Via,
        id::{CgroupId, NetnsCookie},
    };

    use super::*;

    fn record(cgroup: u64, client: &str) -> Record {
        Record {
            cgroup: CgroupId::new(cgroup),
            netns: NetnsCookie::new(1),
            client: client.parse().unwrap(),
            via: Via::Redirect,
        }
    }

    fn found(records: &[Record]) -> Result<Record, Refusal> {
        let all = records
            .iter()
            .zip(1..)
            .map(|(record, id)| (SocketCookie::new(id), *record));
        only_one(all.collect(), SocketAddr::from(([10, 77, 1, 2], 4711)))
    }

    #[test]
    fn a_lost_syn_needs_exactly_one_record_of_its_address() {
        let ours = record(7, "10.77.1.2:4711");
        let neighbours = [record(8, "10.77.1.2:4712"), record(9, "10.77.1.3:4711")];
        assert_eq!(found(&[neighbours[0], ours, neighbours[1]]).unwrap(), ours);
        assert!(matches!(found(&neighbours), Err(Refusal::NoRecord)));
        assert!(matches!(found(&[]), Err(Refusal::NoRecord)));
        let poison = record(8, "10.77.1.2:4711");
        assert!(matches!(found(&[ours, poison]), Err(Refusal::Ambiguous(2))));
    }
}
