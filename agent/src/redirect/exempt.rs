//! Who keeps the way to the real service: the agents themselves, and pods that keep the node's own identity.
//!
//! Each by its cgroup, whose id is never used twice: what is left of one that is gone is for nobody.

use std::{fmt, path::Path};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError},
};
use bpf2iam_ebpf::abi;

use crate::id::CgroupId;

use super::{
    Error,
    maps::{EXEMPT, of, take},
    pins::Pins,
};

pub use bpf2iam_ebpf::abi::Exempt as Whose;

/// Tells the programs who they are.
pub struct Exempt(HashMap<MapData, u64, u32>);

impl Exempt {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = take(ebpf, EXEMPT)?;
        map.try_into().map(Self).map_err(of(EXEMPT))
    }

    /// Another handle to the same.
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        Self::of_version(pins.dir())
    }

    /// That of another version, whose pins are in `dir`, if it keeps them as we do.
    pub fn of_version(dir: &Path) -> Result<Self, Error> {
        let map = MapData::from_pin(Pins::map_in(dir, EXEMPT)).map_err(of(EXEMPT))?;
        let map = Map::HashMap(map).try_into();
        map.map(Self).map_err(of(EXEMPT))
    }

    /// Calls from this cgroup reach the real service; if it is a pod's, those from below as well.
    pub fn add(&mut self, cgroup: CgroupId, whose: Whose) -> Result<(), Error> {
        let inserted = self.0.insert(cgroup.get(), whose as u32, 0);
        inserted.map_err(of(EXEMPT))
    }

    /// They do no longer.
    pub fn remove(&mut self, cgroup: CgroupId) -> Result<(), Error> {
        match self.0.remove(&cgroup.get()) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(of(EXEMPT)(error)),
        }
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<(CgroupId, Whose)>, Error> {
        let all = self.0.iter().map(|entry| {
            let (cgroup, whose) = entry?;
            let pod = whose == abi::Exempt::Pod as u32;
            let whose = if pod { Whose::Pod } else { Whose::Agent };
            Ok((CgroupId::new(cgroup), whose))
        });
        let all: Result<_, MapError> = all.collect();
        all.map_err(of(EXEMPT))
    }

    /// Removes those that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(CgroupId, Whose) -> bool) -> Result<(), Error> {
        let all = self.all()?.into_iter();
        for (cgroup, _) in all.filter(|(cgroup, whose)| !keep(*cgroup, *whose)) {
            self.remove(cgroup)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXEMPT)
    }
}
