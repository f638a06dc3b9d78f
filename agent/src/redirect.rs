//! The kernel side: loads the programs, sets them, attaches them to the pods' cgroup, and takes them away again.
//!
//! Nobody else touches BPF. The programs are attached as links that belong to this process: when it ends, however
//! it ends, the kernel detaches them.

mod attach;
mod conflict;
mod logs;
mod maps;
mod object;
pub mod preflight;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::{Ebpf, EbpfLoader};
use bpf2iam_ebpf::abi::Config;
use tracing::level_filters::LevelFilter;

use crate::id::CgroupId;

pub use attach::Attached;
pub use conflict::Conflict;
pub use logs::Logs;
pub use maps::{Conns, Counters, Record, Via};

/// Why the kernel side does not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This binary cannot redirect anything.
    #[error("this binary was built without its BPF object; build it with `cargo xtask build`")]
    NoObject,
    /// The object was not taken.
    #[error("cannot load the BPF object")]
    Load(#[source] Box<aya::EbpfError>),
    /// One of its programs was not taken.
    #[error("cannot load the program {name}")]
    Program {
        /// The program.
        name: &'static str,
        /// What the kernel's verifier says.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// A program or map is not in the object: the object is of another version.
    #[error("the BPF object has no {0} of the right type; it was built from another version")]
    Missing(&'static str),
    /// A map cannot be used.
    #[error("cannot use the map {name}")]
    Map {
        /// The map.
        name: &'static str,
        /// What the kernel says.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// A program cannot be attached.
    #[error("cannot attach {name} to {}", .cgroup.display())]
    Attach {
        /// The program.
        name: &'static str,
        /// Where.
        cgroup: PathBuf,
        /// What the kernel says.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// A program cannot be attached, because another one excludes it.
    #[error("cannot attach {name} to {}: {conflict}", .cgroup.display())]
    Excluded {
        /// The program.
        name: &'static str,
        /// Where.
        cgroup: PathBuf,
        /// The other one.
        conflict: Conflict,
    },
    /// The cgroup cannot be opened.
    #[error("cannot open the cgroup {}", .cgroup.display())]
    Cgroup {
        /// Which.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The programs' log cannot be read.
    #[error("cannot read the programs' log")]
    Logs(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where the proxy listens, and who is exempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The proxy's IPv4 address; without one, connects over IPv4 are refused.
    pub ip4: Option<Ipv4Addr>,
    /// The proxy's IPv6 address; without one, connects over IPv6 are refused.
    pub ip6: Option<Ipv6Addr>,
    /// The proxy's port, the same for both.
    pub port: u16,
    /// The agent's own cgroup, whose calls reach the real metadata service.
    pub agent: Option<CgroupId>,
}

impl Target {
    /// As the programs read it. The links end with this process, so there is no lease.
    fn config(self) -> Config {
        Config {
            lease_deadline_ns: Config::NO_LEASE,
            agent_cgroup_id: self.agent.map_or(0, CgroupId::get),
            proxy_ip6: self.ip6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets(),
            proxy_ip4: self.ip4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
            proxy_port: self.port,
            on_expiry: Config::DENY,
            mode: Config::REDIRECT,
        }
    }
}

/// The loaded programs and their maps.
#[derive(Debug)]
pub struct Redirect {
    ebpf: Ebpf,
    attached: Vec<Attached>,
}

impl Redirect {
    /// Loads the programs. They log what the agent logs, and what it does not log costs nothing in them.
    pub fn load(level: LevelFilter) -> Result<Self, Error> {
        let object = object::bytes().ok_or(Error::NoObject)?;
        let level = logs::level(level);
        let mut loader = EbpfLoader::new();
        let loader = loader.override_global(aya_log::LEVEL, &level, false);
        let ebpf = loader
            .load(object)
            .map_err(|error| Error::Load(Box::new(error)))?;
        let mut redirect = Self {
            ebpf,
            attached: Vec::new(),
        };
        attach::load_all(&mut redirect.ebpf)?;
        Ok(redirect)
    }

    /// The records of connections. They can be taken once.
    pub fn conns(&mut self) -> Result<Conns, Error> {
        Conns::take(&mut self.ebpf)
    }

    /// The counters. They can be taken once.
    pub fn counters(&mut self) -> Result<Counters, Error> {
        Counters::take(&mut self.ebpf)
    }

    /// The programs' log. It can be taken once.
    pub fn logs(&mut self) -> Result<Logs, Error> {
        Logs::take(&mut self.ebpf)
    }

    /// Says where connects go. Until then the programs refuse.
    pub fn point_at(&mut self, target: Target) -> Result<(), Error> {
        maps::write_config(&mut self.ebpf, target.config())
    }

    /// Attaches all programs to the cgroup at `path`, or none.
    pub fn attach(&mut self, path: &Path) -> Result<(), Error> {
        let cgroup = std::fs::File::open(path).map_err(|source| Error::Cgroup {
            cgroup: path.to_owned(),
            source,
        })?;
        self.attached = attach::attach_all(&mut self.ebpf, cgroup.as_fd(), path)?;
        Ok(())
    }

    /// What is attached.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Detaches all programs, in the reverse order, and unloads them.
    pub fn detach(mut self) {
        while self.attached.pop().is_some() {}
    }
}
