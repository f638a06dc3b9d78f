//! The maps that outlive the agent. Their names and layouts are known here and in the programs, nowhere else: what is pinned
//! under one of the names and is no such map is never used.

use std::{
    fmt, io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, MapError, MapType, PerCpuArray},
};
use bpf2iam_ebpf::abi;

use super::{
    Error,
    pins::{self, Pins},
    sys,
};

pub(super) const LEASE: &str = "IMDS_LEASE";
pub(super) const ACTIVE: &str = "IMDS_ACTIVE";
pub(super) const CONFIG: &str = "IMDS_CONFIG";
pub(super) const EXEMPT: &str = "IMDS_EXEMPT";
const SOCKETS: &str = "IMDS_SOCKETS";
pub(super) const CONNS: &str = "IMDS_CONNS";
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
        shape(LEASE, M::Array, (4, size_of::<Lease>()), Config::COUNT),
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

/// Our maps, by which those are told that are pinned, and which can be pinned again.
pub(super) struct Ours(Vec<(&'static str, u32, OwnedFd)>);

impl Ours {
    /// Those that are pinned now.
    pub(super) fn pinned(pins: &Pins) -> Result<Self, Error> {
        let ours = SHAPES.iter().map(|shape| {
            let pin = pins.map(shape.name);
            let failed = |source| pins::failed("look at", &pin, source);
            let map = sys::object_at(&pin).map_err(failed)?;
            let id = sys::map_info(map.as_fd()).map_err(failed)?.id;
            Ok((shape.name, id, map))
        });
        ours.collect::<Result<_, _>>().map(Self)
    }

    /// Which of them are pinned: all, or not all of them, or others in their places.
    pub(super) fn held(&self, pins: &Pins) -> io::Result<Held> {
        let mut held = Held::All;
        for (name, ours, _) in &self.0 {
            let map = match sys::object_at(&pins.map(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    held = Held::Some;
                    continue;
                }
                map => map?,
            };
            if sys::map_info(map.as_fd())?.id != *ours {
                return Ok(Held::Others);
            }
        }
        Ok(held)
    }

    /// Pins those that are not.
    pub(super) fn pin(&self, pins: &Pins) -> Result<(), Error> {
        for (name, _, map) in &self.0 {
            let pin = pins.map(name);
            if pin.exists() {
                continue;
            }
            let failed = |source| pins::failed("pin a map at", &pin, source);
            let map = map.try_clone().map_err(failed)?;
            let map = MapData::from_fd(map).map_err(of(name))?;
            map.pin(&pin)
                .map_err(|error| failed(io::Error::other(error)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ours")
    }
}

/// What is pinned in the places of our maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// All of ours.
    All,
    /// Not all of ours, and no other.
    Some,
    /// Another one: another agent's.
    Others,
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

pub(super) fn of(name: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map {
        name,
        source: Box::new(source),
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

pub(super) fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, Error> {
    ebpf.take_map(name).ok_or(Error::Missing(name))
}

pub(super) fn array<T: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<Array<MapData, T>, Error> {
    take(ebpf, name)?.try_into().map_err(of(name))
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
