//! What an agent has in the kernel: programs, links, maps.

use std::{
    mem::offset_of,
    net::Ipv6Addr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bpf2iam_ebpf::abi;
use bpf2iam_support::stage::Agent;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::bpftool::{self, Map, Program};

/// How long the kernel may take to free what nobody holds any more.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Programs and links as the agent's status names them, and the maps that the programs use or that are pinned.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The programs.
    pub programs: Vec<Program>,
    links: Vec<u32>,
    maps: Vec<Map>,
}

/// An entry of `IMDS_CONNS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conn {
    /// The client socket's cookie.
    pub cookie: u64,
    /// The cgroup that connected.
    pub cgroup: u64,
    /// Where the client is.
    pub client: (Ipv6Addr, u16),
}

/// As `bpftool` spells it.
#[derive(Deserialize)]
struct Entry {
    key: u64,
    value: Value,
}

#[derive(Deserialize)]
struct Value {
    cgroup_id: u64,
    client_ip: [u8; 16],
    client_port: u16,
}

impl Objects {
    /// Those of a running agent.
    pub fn of(agent: &Agent) -> Result<Self> {
        let status = agent.status()?;
        let programs = status["programs"].as_array().context("no programs")?;
        let ids = |field: &str| -> Vec<u32> {
            let ids = programs
                .iter()
                .filter_map(|program| program[field].as_u64());
            ids.filter_map(|id| u32::try_from(id).ok()).collect()
        };
        let (programs, links) = (ids("program_id"), ids("link_id"));
        let mut loaded = bpftool::programs()?;
        loaded.retain(|program| programs.contains(&program.id));
        let pinned = pinned_maps(&status["kernel"])?;
        let used = |id: u32| loaded.iter().any(|program| program.map_ids.contains(&id));
        let mut maps = bpftool::maps()?;
        maps.retain(|map| used(map.id) || pinned.contains(&map.id));
        Ok(Self {
            programs: loaded,
            links,
            maps,
        })
    }

    /// How many programs, links and maps there are.
    pub const fn count(&self) -> [usize; 3] {
        [self.programs.len(), self.links.len(), self.maps.len()]
    }

    /// The id of the map with this name.
    pub fn map(&self, name: &str) -> Result<u32> {
        let found = self.maps.iter().find(|map| map.name == name);
        Ok(found.with_context(|| format!("no map {name}"))?.id)
    }

    /// The connections that are recorded at this moment.
    pub fn conns(&self) -> Result<Vec<Conn>> {
        let entries = bpftool::dump(self.map("IMDS_CONNS")?)?;
        let conn = |entry: Json| -> Result<Conn> {
            let Entry { key, value } = serde_json::from_value(entry)?;
            Ok(Conn {
                cookie: key,
                cgroup: value.cgroup_id,
                client: (value.client_ip.into(), value.client_port),
            })
        };
        entries.into_iter().map(conn).collect()
    }

    /// Fills `IMDS_CONNS` with records of nobody, to the last place.
    pub fn fill_conns(&self) -> Result<()> {
        let record = |number: usize| {
            let (number, mut value) = ((number as u64).to_ne_bytes(), [0; size_of::<abi::Conn>()]);
            let client = offset_of!(abi::Conn, client_ip);
            value[client..client + number.len()].copy_from_slice(&number);
            // Sockets' cookies begin at 1, so that these are far away.
            (number.map(|byte| !byte), value)
        };
        let all = (0..abi::MAX_CONNS).map(record);
        bpftool::fill(self.map("IMDS_CONNS")?, all)
    }

    /// Waits until none of them is in the kernel any more.
    pub fn wait_until_gone(&self) -> Result<()> {
        let gone = wait_until(PATIENCE, || Ok(self.left()?.is_empty()))?;
        if !gone {
            bail!("still in the kernel: {}", self.left()?.join(", "));
        }
        Ok(())
    }

    fn left(&self) -> Result<Vec<String>> {
        let (programs, links, maps) = (bpftool::programs()?, bpftool::links()?, bpftool::maps()?);
        let programs = programs.iter().filter(|one| self.programs.contains(one));
        let links = links.iter().filter(|one| self.links.contains(&one.id));
        let maps = maps.iter().filter(|one| self.maps.contains(one));
        Ok(programs
            .map(|one| format!("program {}", one.name))
            .chain(links.map(|one| format!("link {}", one.id)))
            .chain(maps.map(|one| format!("map {}", one.name)))
            .collect())
    }
}

/// The ids of the maps that are pinned, also of those that no program uses.
fn pinned_maps(kernel: &Json) -> Result<Vec<u32>> {
    let dir = kernel["pin_dir"].as_str().context("no pin directory")?;
    let names = kernel["pins"]["maps"]
        .as_array()
        .context("no pinned maps")?;
    let names = names.iter().filter_map(Json::as_str);
    let pins = names.map(|name| Path::new(dir).join("maps").join(name));
    pins.map(|pin| Ok(bpftool::pinned_map(&pin)?.id)).collect()
}

/// Whether something becomes true within `patience`.
pub fn wait_until(patience: Duration, mut what: impl FnMut() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + patience;
    while !what()? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
    Ok(true)
}
