//! The records of connections: who it was that connected, as the kernel saw it.

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv6Addr, SocketAddr},
};

use aya::{
    Ebpf,
    maps::{MapData, MapError},
};
use bpf2iam_ebpf::abi;

use crate::id::{CgroupId, NetnsCookie, SocketCookie};

use super::{
    Error,
    maps::{CONNS, of, take},
};

/// How a connection reached the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// It was meant for the metadata address and was redirected.
    Redirect,
    /// It was made to the proxy's own address: a mesh's sidecar does this on behalf of its pod.
    Direct,
}

/// A connection to the proxy, as the kernel recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The cgroup that called `connect()`.
    pub cgroup: CgroupId,
    /// The network namespace of its socket.
    pub netns: NetnsCookie,
    /// The client's own address.
    pub client: SocketAddr,
    /// How it came to the proxy.
    pub via: Via,
}

impl From<abi::Conn> for Record {
    fn from(conn: abi::Conn) -> Self {
        let ip = Ipv6Addr::from(conn.client_ip).to_canonical();
        Self {
            cgroup: CgroupId::new(conn.cgroup_id),
            netns: NetnsCookie::new(conn.netns_cookie),
            client: SocketAddr::new(ip, conn.client_port),
            via: if conn.direct == 0 {
                Via::Redirect
            } else {
                Via::Direct
            },
        }
    }
}

/// The records of the connections to the proxy whose clients have not closed them.
pub struct Conns(aya::maps::HashMap<MapData, u64, abi::Conn>);

impl Conns {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = take(ebpf, CONNS)?;
        map.try_into().map(Self).map_err(of(CONNS))
    }

    /// The record of the client socket with this cookie.
    pub fn get(&self, cookie: SocketCookie) -> io::Result<Option<Record>> {
        match self.0.get(&cookie.get(), 0) {
            Ok(conn) => Ok(Some(conn.into())),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// All records. While it reads, others come and go: the kernel may begin anew and show some twice, hence the
    /// keys. If it begins anew again and again, that is an error: a part of the records proves nothing.
    pub fn all(&self) -> io::Result<HashMap<SocketCookie, Record>> {
        let mut all = HashMap::new();
        let mut keys = self.0.keys();
        for _ in 0..2 * abi::MAX_CONNS {
            let Some(key) = keys.next() else {
                return Ok(all);
            };
            let cookie = SocketCookie::new(key.map_err(io::Error::other)?);
            all.extend(self.get(cookie)?.map(|record| (cookie, record)));
        }
        Err(io::Error::other(
            "the records change faster than they can be read",
        ))
    }
}

impl fmt::Debug for Conns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CONNS)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_record_shows_addresses_in_their_own_family() {
        let conn = |client_ip| abi::Conn {
            cgroup_id: 7,
            netns_cookie: 8,
            connect_ns: 9,
            client_ip,
            client_port: 4711,
            direct: 1,
            pad: [0; 5],
        };
        let v4 = Record::from(conn(Ipv4Addr::new(10, 77, 1, 2).to_ipv6_mapped().octets()));
        assert_eq!(v4.client, "10.77.1.2:4711".parse().unwrap());
        assert_eq!((v4.cgroup, v4.via), (CgroupId::new(7), Via::Direct));
        let v6 = Record::from(conn("fd77::2".parse::<Ipv6Addr>().unwrap().octets()));
        assert_eq!(v6.client, "[fd77::2]:4711".parse().unwrap());
    }
}
