//! The kernel side: loads the programs, sets them, attaches them to the pods' cgroup, and takes them away again.
//!
//! Nobody else touches BPF. Maps and links are pinned: when the agent ends, however it ends, the programs stay, and pods do
//! not reach the real service. The next agent puts its own programs in their place without a gap.

mod attach;
mod conflict;
mod exempt;
mod hooks;
mod lease;
mod lock;
mod logs;
pub mod look;
mod maps;
mod object;
pub mod pins;
pub mod preflight;
mod records;
mod rules;
mod sole;
mod sys;
mod view;

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

pub use attach::{Attached, Failing, Hold};
pub use conflict::{Conflict, Neighbour, neighbours};
pub use exempt::{Exempt, Whose};
pub use lease::{Lease, LeaseLength, NoLeaseLength, WhenGone};
pub use lock::Lock;
pub use logs::Logs;
pub use maps::{Counters, TokenKey};
pub use pins::{Pinned, Pins};
pub use records::{Conns, Record, Via};
pub use sole::{Busy, Sole, SoleError, StandingBy};
pub use view::{Remaining, Turn, View};

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
    /// What outlives the agent cannot be kept.
    #[error(transparent)]
    Pins(#[from] pins::Error),
    /// The programs' log cannot be read.
    #[error("cannot read the programs' log")]
    Logs(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where the proxy listens, and what happens when nobody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The proxy's IPv4 address; without one, connects over IPv4 are refused.
    pub ip4: Option<Ipv4Addr>,
    /// The proxy's IPv6 address; without one, connects over IPv6 are refused.
    pub ip6: Option<Ipv6Addr>,
    /// The proxy's port, the same for both.
    pub port: u16,
    /// What connects do once the lease has expired.
    pub when_gone: WhenGone,
}

/// Which agent it is that the programs obey: a random number, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u64);

impl Owner {
    /// The agent that wrote this configuration, if any did.
    const fn of(config: &Config) -> Option<Self> {
        match config.owner {
            0 => None,
            owner => Some(Self(owner)),
        }
    }

    fn random() -> Self {
        Self(rand::random_range(1..=u64::MAX))
    }
}

/// Which agent we are, and whether the programs have obeyed us.
#[derive(Clone, Debug)]
pub struct Us {
    owner: Owner,
    served: view::Served,
}

impl Us {
    /// An agent that there was not before.
    pub fn new() -> Self {
        Self {
            owner: Owner::random(),
            served: view::Served::default(),
        }
    }
}

impl Default for Us {
    fn default() -> Self {
        Self::new()
    }
}

impl Target {
    /// As the programs read it.
    fn config(self, owner: Owner) -> Config {
        Config {
            owner: owner.0,
            proxy_ip6: self.ip6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets(),
            proxy_ip4: self.ip4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
            proxy_port: self.port,
            on_expiry: self.when_gone.code(),
            mode: Config::REDIRECT,
        }
    }
}

/// The loaded programs and their maps.
#[derive(Debug)]
pub struct Redirect {
    ebpf: Ebpf,
    rules: rules::Rules,
    exempt: Exempt,
    maps: maps::Ours,
    pins: Pins,
    us: Us,
}

impl Redirect {
    /// Loads the programs, with the maps that are pinned, and pins those that are not. They log what the agent logs, and
    /// what it does not log costs nothing in them.
    pub fn load(level: LevelFilter, pins: Pins, us: Us) -> Result<Self, Error> {
        let object = object::bytes().ok_or(Error::NoObject)?;
        let level = logs::level(level);
        let mut loader = EbpfLoader::new();
        let loader = loader.override_global(aya_log::LEVEL, &level, false);
        maps::keep(loader, &pins)?;
        let mut ebpf = loader
            .load(object)
            .map_err(|error| Error::Load(Box::new(error)))?;
        attach::load_all(&mut ebpf)?;
        Ok(Self {
            rules: rules::Rules::take(&mut ebpf)?,
            exempt: Exempt::take(&mut ebpf)?,
            maps: maps::Ours::pinned(&pins)?,
            ebpf,
            pins,
            us,
        })
    }

    /// The records of connections. They can be taken once.
    pub fn conns(&mut self) -> Result<Conns, Error> {
        Conns::take(&mut self.ebpf)
    }

    /// What can be told of all this. It can be taken once.
    pub fn view(&mut self) -> Result<View, Error> {
        Ok(View {
            counters: Counters::take(&mut self.ebpf)?,
            rules: rules::Rules::open(&self.pins)?,
            exempt: Exempt::open(&self.pins)?,
            pins: self.pins.clone(),
            us: self.us.clone(),
        })
    }

    /// What holds the key of session tokens. It can be taken once.
    pub fn token_key(&mut self) -> Result<TokenKey, Error> {
        TokenKey::take(&mut self.ebpf)
    }

    /// The programs' log. It can be taken once.
    pub fn logs(&mut self) -> Result<Logs, Error> {
        Logs::take(&mut self.ebpf)
    }

    /// Calls from this cgroup reach the real service from now on, whichever agent the programs obey; if it is a pod's, those
    /// from below as well.
    pub fn exempt(&mut self, cgroup: CgroupId, whose: Whose) -> Result<(), Error> {
        self.exempt.add(cgroup, whose)
    }

    /// Calls from those cgroups do no longer that are not to be kept.
    pub fn retain_exempt(&mut self, keep: impl Fn(CgroupId, Whose) -> bool) -> Result<(), Error> {
        self.exempt.retain(keep)
    }

    /// Another handle to those that are exempt.
    pub fn exempt_list(&self) -> Result<Exempt, Error> {
        Exempt::open(&self.pins)
    }

    /// The agent before us has ended: nobody connects to it any more.
    pub fn forget_before(&mut self) -> Result<(), Error> {
        self.rules.forget_before()
    }

    /// Attaches all programs to the cgroup at `path`; where they are attached, puts ours in their place. `failing` says what
    /// becomes of the others when one cannot be.
    pub fn attach(&mut self, path: &Path, failing: Failing) -> Result<Vec<Attached>, Error> {
        let cgroup = std::fs::File::open(path).map_err(|source| Error::Cgroup {
            cgroup: path.to_owned(),
            source,
        })?;
        attach::attach_all(&mut self.ebpf, (cgroup.as_fd(), path), &self.pins, failing)
    }

    /// Whether all programs are attached to the cgroup with this id, and what is pinned is ours.
    pub fn hold(&self, cgroup: CgroupId) -> io::Result<Hold> {
        match self.maps.held(&self.pins)? {
            maps::Held::Others => return Ok(Hold::Replaced),
            maps::Held::All => return attach::hold(&self.pins, cgroup.get()),
            maps::Held::Some => {}
        }
        let links = attach::hold(&self.pins, cgroup.get())?;
        Ok(if links == Hold::Whole {
            Hold::Released
        } else {
            links
        })
    }

    /// Pins our maps again where somebody has taken them away. The directories must be there.
    pub fn pin_again(&self) -> Result<(), Error> {
        self.maps.pin(&self.pins)
    }
}
