//! What of ours is in the kernel at this moment, for those who only look. Nothing is changed, and no agent needs to run.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bpf2iam_ebpf::abi::Config;
use jiff::SignedDuration;

use super::{
    Error, Owner, WhenGone, conflict,
    hooks::{HOOKS, Hook},
    lease::deadline,
    maps,
    pins::Pins,
    rules::Rules,
    sys::{self, LinkInfo},
};

/// What there is of one program of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The program's name.
    pub name: &'static str,
    /// Where its link is pinned, or should be.
    pub pin: PathBuf,
    /// What is there.
    pub held: Held,
}

/// What is pinned where a link of ours should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Missing,
    /// Something that cannot be looked at.
    Unreadable(String),
    /// Something else.
    Foreign,
    /// A link to the right hook.
    Link {
        /// The link's id in the kernel.
        id: u32,
        /// The program that it runs.
        program: u32,
        /// That program's name, if it can be told.
        runs: Option<String>,
        /// The cgroup that it leads to; 0 when it is detached, or that is gone.
        cgroup: u64,
    },
}

/// All links of ours, in the order in which they are attached.
pub fn links(pins: &Pins) -> Vec<Pinned> {
    let look = |hook: &Hook| {
        let pin = pins.link(hook.name);
        Pinned {
            name: hook.name,
            held: held(hook, &pin),
            pin,
        }
    };
    HOOKS.iter().map(look).collect()
}

fn held(hook: &Hook, pin: &Path) -> Held {
    let look = || {
        let link = sys::object_at(pin)?;
        let is_link = sys::kind(link.as_fd())? == Some(sys::Kind::Link);
        is_link.then(|| sys::link_info(link.as_fd())).transpose()
    };
    match look() {
        Err(error) if error.kind() == ErrorKind::NotFound => Held::Missing,
        Err(error) => Held::Unreadable(error.to_string()),
        Ok(Some(info)) if info.kind == LinkInfo::CGROUP && info.attach_type == hook.attach_type => {
            Held::Link {
                id: info.id,
                program: info.program_id,
                runs: conflict::find_name(info.program_id),
                cgroup: info.cgroup_id,
            }
        }
        Ok(_) => Held::Foreign,
    }
}

/// What is wrong with the maps that should be pinned, one text for each.
pub fn map_faults(pins: &Pins) -> Vec<String> {
    maps::faults(pins)
}

/// Whom the programs trust, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Until the lease ends; negative when it has ended.
    pub left: SignedDuration,
    /// What connects do then.
    pub when_gone: WhenGone,
    /// Where connects are sent to; nowhere when no agent has said it yet.
    pub proxies: Vec<SocketAddr>,
}

/// Whom the programs trust at this moment.
pub fn trust(pins: &Pins) -> Result<Trust, Error> {
    let rules = Rules::open(pins)?;
    let config = rules.config()?;
    let (until, now) = (rules.deadline()?, deadline(Duration::ZERO));
    let left = i128::from(until) - i128::from(now);
    Ok(Trust {
        left: SignedDuration::try_from_nanos_i128(left).unwrap_or(SignedDuration::MAX),
        when_gone: WhenGone::of(config.on_expiry),
        proxies: proxies(&config),
    })
}

fn proxies(config: &Config) -> Vec<SocketAddr> {
    let ips: [IpAddr; 2] = [
        Ipv4Addr::from(config.proxy_ip4).into(),
        Ipv6Addr::from(config.proxy_ip6).into(),
    ];
    let told = Owner::of(config).is_some();
    let given = ips.into_iter().filter(|ip| told && !ip.is_unspecified());
    given
        .map(|ip| SocketAddr::new(ip, config.proxy_port))
        .collect()
}

/// Whether we may not look.
pub fn is_denied(error: &Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut systems = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    systems.any(|error| error.kind() == ErrorKind::PermissionDenied)
}
