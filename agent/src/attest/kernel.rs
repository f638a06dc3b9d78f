//! Attestation by what the kernel recorded.
//!
//! The SYN names a record by the client socket's cookie; the record must be of a client with the very address
//! and port that we accepted from. A forged cookie names somebody else's record, whose address differs. When
//! the SYN was lost, the address alone must fit exactly one record.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;

use crate::{
    cgroup,
    id::SocketCookie,
    redirect::{Conns, Record, Via},
};

use super::{
    Attest, Caller, Own, Refusal,
    search::Search,
    syn::{self, Syn},
};

/// Asks the maps of the programs, and the cgroup tree.
#[derive(Debug)]
pub struct Kernel {
    conns: Arc<Conns>,
    cgroups: cgroup::Tree,
    search: Search,
    own: Own,
}

impl Kernel {
    /// Attests with the records in `conns`. What comes with it has to run meanwhile; it searches for the records of
    /// connections whose SYN was lost.
    pub fn new(
        conns: Conns,
        cgroups: cgroup::Tree,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let conns = Arc::new(conns);
        let (search, run) = Search::new(Arc::clone(&conns));
        let kernel = Self {
            conns,
            cgroups,
            search,
            own: Own::default(),
        };
        (kernel, run)
    }

    /// What recognises the agent's own connection.
    pub fn own(&self) -> Own {
        self.own.clone()
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

    fn is_own(&self, record: &Record) -> bool {
        record.via == Via::Redirect && self.own.recognise(record.cgroup)
    }

    fn caller(&self, record: &Record) -> Result<Caller, Refusal> {
        // Before all else: it may come from below the agent's own cgroup, which is a pod's.
        if self.is_own(record) {
            return Err(Refusal::Own);
        }
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
            client: record.client.ip(),
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
            Syn::Lost => self.search.find(peer).await?,
        };
        self.caller(&record)
    }
}
