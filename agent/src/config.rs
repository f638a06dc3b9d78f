//! What the operator wants, checked before anything is done.
//!
//! An empty name, node address, pods' cgroup or role counts as none, because charts write such. Every refusal names
//! the flag, the value, and what to do.

mod access;
mod admin;
mod error;
mod lifetime;
mod machine;
mod metadata;
mod node;
mod offline;
mod place;
mod pods;
mod roles;
mod sessions;
mod variable;
mod warning;

use std::{
    ffi::OsStr,
    fmt, fs, io,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use clap::ValueEnum;

use crate::{
    args::{self, Run, Switch},
    metadata::{Allow, Place, TokenUse},
    pods::{
        NodeRoleFor,
        annotation::Keys,
        binding::{Exchange, Sessions},
        compat::Compat,
        restriction,
    },
    telemetry,
};

pub use error::Error;
pub use lifetime::{Lifetime, pin_dir};
pub use machine::Machine;
pub use metadata::{MetadataAddr, NoMetadataAddr};
pub use node::{NodeIps, NodeName};
pub use offline::policy as offline_policy;
pub use pods::Pods;
pub use roles::{Discover, Discovered, Roles};
pub use warning::Warning;

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name in Kubernetes.
    pub node_name: NodeName,
    /// Where pods reach this node.
    pub node_ips: NodeIps,
    /// The port on which redirected connections arrive; 0 is any free one.
    pub listen_port: u16,
    /// Where pods come from.
    pub pods: Pods,
    /// The host's cgroup v2 mount.
    pub cgroup_root: PathBuf,
    /// The cgroup of all pods, relative to `cgroup_root`; to be found if there is none here.
    pub kubepods: Option<PathBuf>,
    /// Where the pods' network namespaces have their files, if it is there.
    pub netns_dir: PathBuf,
    /// Where the control socket is.
    pub runtime_dir: PathBuf,
    /// What outlives the agent.
    pub lifetime: Lifetime,
    /// Where the admin port is, if there is to be one.
    pub admin_listen: Option<SocketAddr>,
    /// Where this node's metadata service is, if there is one.
    pub metadata: Option<MetadataAddr>,
    /// Where this node is; looked at where there is no such service.
    pub place: Place,
    /// Whether pods need tokens, where their namespace does not say it.
    pub imds_tokens: TokenUse,
    /// What pods may read of the metadata beside what all may.
    pub allow_paths: Allow,
    /// The roles that are known by name.
    pub roles: Roles,
    /// Who keeps the node's own identity.
    pub node_role_for: NodeRoleFor,
    /// What has to be found out before they all are ([`Config::with`]).
    pub discover: Option<Discover>,
    /// What the annotations are called.
    pub keys: Keys,
    /// How the roles are written that namespaces allow, if they restrict them at all.
    pub restrictions: Option<restriction::Format>,
    /// Where to decide as another system did.
    pub compat: Compat,
    /// How roles are assumed.
    pub credentials: Exchange,
    /// What is said of sessions at STS.
    pub sessions: Sessions,
    /// What is logged, and how.
    pub log: telemetry::Settings,
    /// What the operator should know about the flags.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Checks what was typed; what was not comes from the machine.
    pub fn new(args: Run, machine: Machine) -> Result<Self, Error> {
        let (roles, discover) = Roles::new(&args.roles)?;
        let pods = Pods::new(&args.kubernetes, args.roles.credentials)?;
        let metadata = MetadataAddr::choose(args.metadata.metadata_addr.clone(), &machine)?;
        if let (Some(_), Err(why)) = (&discover, &metadata) {
            return Err(Error::NothingToAsk(why));
        }
        let off = metadata.as_ref().err().copied().and_then(metadata::warning);
        let metadata = metadata.ok();
        let zone = args.metadata.availability_zone;
        let base = roles.base.as_ref();
        let (place, misplaced) = place::here(metadata.as_ref(), zone, &machine, base, &pods)?;
        let (node_role_for, nobody_to_ask) = access::nodes(&args.roles, metadata.as_ref())?;
        let allow_paths = access::allow(&args.metadata.access)?;
        let allowed = access::allowed(&allow_paths, metadata.as_ref());
        let (admin_listen, unused_port) = admin::listen(
            args.admin_listen.as_deref(),
            args.kube2iam.metrics_port,
            args.listen_port,
        )?;
        let node_ips =
            NodeIps::choose(&args.node_ip, machine.host_ip.as_deref(), &machine.sources)?;
        let node_name = NodeName::choose(args.node_name, machine.node_name, machine.host_name)?;
        let sessions = sessions::sessions(&args.sessions, node_name.as_str())?;
        let warnings = pods::warnings(&args.kubernetes, &pods).into_iter();
        Ok(Self {
            node_name,
            node_ips,
            listen_port: args.listen_port,
            kubepods: kubepods(&args.cgroups)?,
            cgroup_root: mount("--cgroup-root", args.cgroups.root)?,
            netns_dir: args.netns_dir.path,
            runtime_dir: absolute(args.runtime.dir)?,
            lifetime: Lifetime::new(&args.lifetime, &pods)?,
            admin_listen,
            metadata,
            place,
            imds_tokens: args.metadata.access.imds_tokens,
            allow_paths,
            roles,
            node_role_for,
            discover,
            keys: roles::keys(&args.roles)?,
            restrictions: restrictions(&args.roles),
            compat: args.roles.compat,
            credentials: args.roles.credentials,
            log: log(&args.log, machine.log_format),
            warnings: warnings
                .chain(unused_port)
                .chain(off)
                .chain(misplaced)
                .chain(nobody_to_ask)
                .chain(allowed)
                .chain(node_ips.warning())
                .chain(sessions::warnings(&args.sessions, &sessions))
                .chain(warning::of_kube2iam(&args.kube2iam))
                .chain(variable::warnings(&machine.variables))
                .collect(),
            sessions,
            pods,
        })
    }

    /// With what was to be found out.
    pub fn with(mut self, found: Discovered) -> Result<Self, Error> {
        if let Some(discover) = self.discover.take() {
            self.roles = self.roles.and(discover, found)?;
        }
        Ok(self)
    }

    /// Every setting by its flag, for people. A secret is not among them.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let kubepods = self.kubepods.as_ref().map(|path| path.display());
        let mut settings = vec![
            ("node-name", self.node_name.to_string()),
            ("node-ip", self.node_ips.to_string()),
            ("listen-port", self.listen_port.to_string()),
            ("cgroup-root", self.cgroup_root.display().to_string()),
            ("kubepods", or(kubepods, "(to be found)")),
            ("netns-dir", self.netns_dir.display().to_string()),
            ("runtime-dir", self.runtime_dir.display().to_string()),
            ("admin-listen", or(self.admin_listen, "off")),
            ("metadata-addr", or(self.metadata.as_ref(), "off")),
            ("availability-zone", or(self.place.zone.as_ref(), "(none)")),
            ("imds-tokens", word(&self.imds_tokens)),
            (
                "allow-path",
                or(given(Some(self.allow_paths.to_string())), "(none)"),
            ),
        ];
        settings.extend(self.lifetime.settings());
        settings.extend(self.pods.settings());
        settings.extend(self.role_settings());
        settings.extend(sessions::settings(&self.sessions));
        settings.extend([
            ("log-level", self.log.level.to_string()),
            ("log-format", self.log.format.to_string()),
        ]);
        settings
    }

    fn role_settings(&self) -> [(&'static str, String); 9] {
        let (base, default) = match &self.discover {
            None => ("(none)", "(none)"),
            Some(Discover::Base(None)) => (DISCOVERED, "(none)"),
            Some(Discover::Base(Some(role))) => (DISCOVERED, role.as_str()),
            Some(Discover::DefaultRole) => (DISCOVERED, DISCOVERED),
        };
        let roles = &self.roles;
        [
            ("base-role-arn", or(roles.base.as_ref(), base)),
            ("default-role", or(roles.default.as_ref(), default)),
            ("iam-role-key", self.keys.role.clone()),
            ("iam-external-id", self.keys.external_id.clone()),
            ("namespace-key", self.keys.allowed_roles.clone()),
            (
                "namespace-restrictions",
                or(self.restrictions.as_ref().map(word), "off"),
            ),
            ("compat", word(&self.compat)),
            ("credentials", word(&self.credentials)),
            ("node-role-for", self.node_role_for.to_string()),
        ]
    }
}

/// What is to be found out.
const DISCOVERED: &str = "(to be discovered)";

/// All settings in one line, as flags.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (flag, value)) in self.settings().iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}--{flag}={value}")?;
        }
        Ok(())
    }
}

fn restrictions(args: &args::Roles) -> Option<restriction::Format> {
    let restricted = args.namespace_restrictions.is_some_and(Switch::is_on);
    restricted.then_some(args.namespace_restriction_format)
}

fn log(args: &args::Log, usual: telemetry::Format) -> telemetry::Settings {
    let least = if args.verbose.is_some_and(Switch::is_on) {
        telemetry::Level::Debug
    } else {
        telemetry::Level::Error
    };
    telemetry::Settings {
        level: args.level.max(least),
        format: args.format.unwrap_or(usual),
    }
}

/// A directory, if it is there: what is not mounted yet is no wrong usage, and said by whoever opens it.
fn mount(flag: &'static str, path: PathBuf) -> Result<PathBuf, Error> {
    match directory(flag, path.clone()) {
        Err(Error::NoDirectory { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(path)
        }
        found => found,
    }
}

fn directory(flag: &'static str, path: PathBuf) -> Result<PathBuf, Error> {
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Error::NotADirectory { flag, path }),
        Err(source) => Err(Error::NoDirectory { flag, path, source }),
    }
}

/// A path that every process understands alike.
pub(crate) fn absolute(path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Error::RuntimeDir(path))
    }
}

/// The cgroup of all pods relative to the mount, if it is given.
pub fn kubepods(args: &args::Cgroups) -> Result<Option<PathBuf>, Error> {
    let path = given(args.kubepods.clone());
    path.map(|path| below(&args.root, Path::new(&path)))
        .transpose()
}

/// `path` relative to `root`, whether it was given so, with a slash before it, or whole.
fn below(root: &Path, path: &Path) -> Result<PathBuf, Error> {
    let relative = path
        .strip_prefix(root)
        .or_else(|_elsewhere| path.strip_prefix("/"))
        .unwrap_or(path);
    let parts: Vec<&OsStr> = relative
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            Component::ParentDir
            | Component::CurDir
            | Component::RootDir
            | Component::Prefix(_) => Err(Error::Kubepods(path.to_owned())),
        })
        .collect::<Result<_, _>>()?;
    if parts.is_empty() {
        return Err(Error::Kubepods(path.to_owned()));
    }
    Ok(parts.iter().collect())
}

/// A value that says something.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

fn or(value: Option<impl fmt::Display>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
}

/// A value as the operator would give it.
pub(crate) fn word(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
