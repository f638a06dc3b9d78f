//! The maps, with types. Their names and layouts are known here and in the programs, nowhere else.

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv6Addr, SocketAddr},
    os::fd::AsFd as _,
    path::Path,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, MapError, MapType, PerCpuArray},
};
use bpf2iam_ebpf::abi;

use crate::id::{CgroupId, NetnsCookie, SocketCookie};

use super::{
    Error,
    pins::{self, Pins},
    sys,
};

const LEASE: &str = "IMDS_LEASE";
const ACTIVE: &str = "IMDS_ACTIVE";
const CONFIG: &str = "IMDS_CONFIG";
const EXEMPT: &str = "IMDS_EXEMPT";
const SOCKETS: &str = "IMDS_SOCKETS";
const CONNS: &str = "IMDS_CONNS";
const COUNTERS: &str = "IMDS_COUNTERS";
const TOKEN_KEY: &str = "IMDS_TOKEN_KEY";

/// What a map must be like to be ours.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: usize,
}

const fn shape(
    name: &'static str,
    kind: MapType,
    (key, value): (usize, usize),
    entries: usize,
) -> Shape {
    Shape {
        name,
        kind,
        key,
        value,
        entries,
    }
}

/// All maps, which outlive the agent.
const SHAPES: [Shape; 8] = {
    use MapType as M;
    use abi::{Active, Config, Conn, Counters, Lease, Socket};
    [
        shape(LEASE, M::Array, (4, size_of::<Lease>()), 1),
        shape(ACTIVE, M::Array, (4, size_of::<Active>()), 1),
        shape(CONFIG, M::Array, (4, size_of::<Config>()), Config::COUNT),
        shape(EXEMPT, M::Hash, (8, 4), abi::MAX_EXEMPT),
        shape(SOCKETS, M::SkStorage, (4, size_of::<Socket>()), 0),
        shape(CONNS, M::LruHash, (8, size_of::<Conn>()), abi::MAX_CONNS),
        shape(COUNTERS, M::PerCpuArray, (4, size_of::<Counters>()), 1),
        shape(TOKEN_KEY, M::Array, (4, size_of::<abi::TokenKey>()), 1),
    ]
};

/// Lets `loader` use the maps that are pinned, and pin those that are not. What is pinned must be ours.
pub(super) fn keep(loader: &mut EbpfLoader<'_>, pins: &Pins) -> Result<(), Error> {
    check(pins)?;
    for shape in &SHAPES {
        loader.map_pin_path(shape.name, pins.map(shape.name));
    }
    Ok(())
}

impl Shape {
    /// Whether what is pinned there, if anything is, is this map.
    fn check(&self, pin: &Path) -> Result<(), Error> {
        let map = match sys::object_at(pin) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            map => map.map_err(|source| pins::failed("look at", pin, source))?,
        };
        let failed = |source| pins::failed("look at", pin, source);
        if sys::kind(map.as_fd()).map_err(failed)? != Some(sys::Kind::Map) {
            return Err(pins::foreign(pin, "it is no map"));
        }
        let found = sys::map_info(map.as_fd()).map_err(failed)?;
        let (kind, key) = (self.kind as u32, self.key);
        let is = |found: u32, wanted: usize| usize::try_from(found).is_ok_and(|is| is == wanted);
        let same = found.kind == kind
            && is(found.key_size, key)
            && is(found.value_size, self.value)
            && is(found.max_entries, self.entries);
        if same {
            return Ok(());
        }
        let why = format!(
            "the map has the type {} with {} bytes a key, {} a value and {} entries; ours has {kind}, {key}, {} and {}",
            found.kind,
            found.key_size,
            found.value_size,
            found.max_entries,
            self.value,
            self.entries
        );
        Err(pins::foreign(pin, why))
    }
}

/// Whether what is pinned is ours.
pub(super) fn check(pins: &Pins) -> Result<(), Error> {
    SHAPES
        .iter()
        .try_for_each(|shape| shape.check(&pins.map(shape.name)))
}

/// What is wrong with the maps that should be pinned, one text for each.
pub(super) fn faults(pins: &Pins) -> Vec<String> {
    let fault = |shape: &Shape| match shape.check(&pins.map(shape.name)) {
        Err(error) => Some(crate::chain::chain(&error)),
        Ok(()) if pins.map(shape.name).exists() => None,
        Ok(()) => Some(format!("{} is not there", pins.map(shape.name).display())),
    };
    SHAPES.iter().filter_map(fault).collect()
}

fn of(name: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map {
        name,
        source: Box::new(source),
    }
}

/// What the agent tells the programs.
pub(super) struct Rules {
    lease: Array<MapData, abi::Lease>,
    active: Array<MapData, abi::Active>,
    config: Array<MapData, abi::Config>,
    exempt: aya::maps::HashMap<MapData, u64, u32>,
}

impl Rules {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            lease: array(ebpf, LEASE)?,
            active: array(ebpf, ACTIVE)?,
            config: array(ebpf, CONFIG)?,
            exempt: take(ebpf, EXEMPT)?.try_into().map_err(of(EXEMPT))?,
        })
    }

    /// Another handle to the same.
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        use aya::maps::Map;
        let map = |name| MapData::from_pin(pins.map(name)).map_err(of(name));
        let array = |name| map(name).map(Map::Array);
        Ok(Self {
            lease: array(LEASE)?.try_into().map_err(of(LEASE))?,
            active: array(ACTIVE)?.try_into().map_err(of(ACTIVE))?,
            config: array(CONFIG)?.try_into().map_err(of(CONFIG))?,
            exempt: Map::HashMap(map(EXEMPT)?).try_into().map_err(of(EXEMPT))?,
        })
    }

    /// From now on `config` counts, at once for every connect.
    pub(super) fn switch(&mut self, config: abi::Config) -> Result<(), Error> {
        let next = 1 - self.active()?.config.min(1);
        self.config.set(next, config, 0).map_err(of(CONFIG))?;
        let active = abi::Active { config: next };
        self.active.set(0, active, 0).map_err(of(ACTIVE))
    }

    /// The configuration that counts.
    pub(super) fn config(&self) -> Result<abi::Config, Error> {
        let active = self.active()?.config.min(1);
        self.config.get(&active, 0).map_err(of(CONFIG))
    }

    /// Forgets the configuration before the one that counts: its proxy has no clients any more.
    pub(super) fn forget_before(&mut self) -> Result<(), Error> {
        let before = 1 - self.active()?.config.min(1);
        let nothing = abi::Config::default();
        self.config.set(before, nothing, 0).map_err(of(CONFIG))
    }

    /// The programs trust the agent until `deadline_ns` of `CLOCK_MONOTONIC`.
    pub(super) fn lease(&mut self, deadline_ns: u64) -> Result<(), Error> {
        let lease = abi::Lease { deadline_ns };
        self.lease.set(0, lease, 0).map_err(of(LEASE))
    }

    /// Until when they do.
    pub(super) fn deadline(&self) -> Result<u64, Error> {
        Ok(self.lease.get(&0, 0).map_err(of(LEASE))?.deadline_ns)
    }

    /// Calls from this cgroup reach the real service.
    pub(super) fn exempt(&mut self, cgroup: CgroupId) -> Result<(), Error> {
        let inserted = self.exempt.insert(cgroup.get(), 1, 0);
        inserted.map_err(of(EXEMPT))
    }

    /// Calls from those cgroups do no longer that are not to be kept.
    pub(super) fn retain_exempt(&mut self, keep: impl Fn(CgroupId) -> bool) -> Result<(), Error> {
        let all: Result<Vec<_>, _> = self.exempt.keys().collect();
        let all = all.map_err(of(EXEMPT))?.into_iter();
        for other in all.filter(|id| !keep(CgroupId::new(*id))) {
            match self.exempt.remove(&other) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(of(EXEMPT)(error)),
            }
        }
        Ok(())
    }

    fn active(&self) -> Result<abi::Active, Error> {
        self.active.get(&0, 0).map_err(of(ACTIVE))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}

/// Calls from this cgroup reach the real service by the programs of another version too, whose pins are in `dir`, if it
/// keeps them as we do.
pub(super) fn exempt_in(dir: &Path, cgroup: CgroupId) {
    let insert = || -> Result<(), MapError> {
        let map = aya::maps::Map::HashMap(MapData::from_pin(Pins::map_in(dir, EXEMPT))?);
        let mut exempt: aya::maps::HashMap<_, u64, u32> = map.try_into()?;
        exempt.insert(cgroup.get(), 1, 0)
    };
    if let Err(error) = insert() {
        let error = anyhow::Error::from(error);
        tracing::warn!(dir = %dir.display(), "another version may keep us from the metadata service: {error:#}");
    }
}

/// What outlives the agent in kernel memory, and on no disk.
pub struct TokenKey(Array<MapData, abi::TokenKey>);

impl TokenKey {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        array(ebpf, TOKEN_KEY).map(Self)
    }

    /// The key that an agent of another version has kept in `dir`, if it kept it as we do.
    pub fn of_version(dir: &Path) -> Option<[u8; 32]> {
        let kept = MapData::from_pin(Pins::map_in(dir, TOKEN_KEY)).ok()?;
        let kept = Array::try_from(aya::maps::Map::Array(kept)).ok()?;
        Self(kept).get().ok()?
    }

    /// The key that an agent before us has kept.
    pub fn get(&self) -> Result<Option<[u8; 32]>, Error> {
        let kept = self.0.get(&0, 0).map_err(of(TOKEN_KEY))?;
        Ok((kept != abi::TokenKey::default()).then_some(kept.bytes))
    }

    /// Keeps `bytes`.
    pub fn set(&mut self, bytes: [u8; 32]) -> Result<(), Error> {
        let key = abi::TokenKey { bytes };
        self.0.set(0, key, 0).map_err(of(TOKEN_KEY))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TOKEN_KEY)
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, Error> {
    ebpf.take_map(name).ok_or(Error::Missing(name))
}

fn array<T: aya::Pod>(ebpf: &mut Ebpf, name: &'static str) -> Result<Array<MapData, T>, Error> {
    take(ebpf, name)?.try_into().map_err(of(name))
}

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

/// What the programs counted.
pub struct Counters(PerCpuArray<MapData, abi::Counters>);

impl Counters {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = take(ebpf, COUNTERS)?;
        map.try_into().map(Self).map_err(of(COUNTERS))
    }

    /// The counters at this moment, summed up over all CPUs.
    pub fn read(&self) -> Result<abi::Counters, Error> {
        let mut sum = abi::Counters::default();
        for cpu in self.0.get(&0, 0).map_err(of(COUNTERS))?.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(COUNTERS)
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
