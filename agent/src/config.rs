//! What the operator wants, checked before anything is done.
//!
//! An empty name, node address, pods' cgroup or role counts as none, because charts write such. Every refusal names
//! the flag, the value, and what to do.

mod error;
mod machine;
mod node;

use std::{
    ffi::OsStr,
    fmt, fs,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use crate::{
    args::Run,
    id::{BaseArn, InvalidRole, RoleArn},
    telemetry,
};

pub use error::Error;
pub use machine::Machine;
pub use node::{NodeIps, NodeName};

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
    /// Where the control socket is.
    pub runtime_dir: PathBuf,
    /// Where the admin port is, if there is to be one.
    pub admin_listen: Option<SocketAddr>,
    /// What is put before role names that are no ARN.
    pub base_role_arn: Option<BaseArn>,
    /// The role of pods that name none.
    pub default_role: Option<RoleArn>,
    /// What is logged, and how.
    pub log: telemetry::Settings,
}

/// Where pods come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// A directory of manifests.
    Files(PathBuf),
}

impl Config {
    /// Checks what was typed; what was not comes from the machine.
    pub fn new(args: Run, machine: Machine) -> Result<Self, Error> {
        let (base_role_arn, default_role) = roles(args.base_role_arn, args.default_role)?;
        Ok(Self {
            node_name: NodeName::choose(args.node_name, machine.node_name, machine.host_name)?,
            node_ips: NodeIps::choose(&args.node_ip, machine.host_ip.as_deref(), &machine.sources)?,
            listen_port: args.listen_port,
            pods: args.pods.parse()?,
            kubepods: given(args.kubepods)
                .map(|path| below(&args.cgroup_root, Path::new(&path)))
                .transpose()?,
            cgroup_root: directory("--cgroup-root", args.cgroup_root)?,
            runtime_dir: absolute(args.runtime.dir)?,
            admin_listen: admin_listen(&args.admin_listen)?,
            base_role_arn,
            default_role,
            log: telemetry::Settings {
                level: args.log_level,
                format: args.log_format.unwrap_or(machine.log_format),
            },
        })
    }

    /// Every setting by its flag, for people. A secret goes in as [`Secret`](crate::creds::Secret) says
    /// it: that there is one.
    fn settings(&self) -> [(&'static str, String); 12] {
        let kubepods = self.kubepods.as_ref().map(|path| path.display());
        [
            ("node-name", self.node_name.to_string()),
            ("node-ip", self.node_ips.to_string()),
            ("listen-port", self.listen_port.to_string()),
            ("pods", self.pods.to_string()),
            ("cgroup-root", self.cgroup_root.display().to_string()),
            ("kubepods", or(kubepods, "(to be found)")),
            ("runtime-dir", self.runtime_dir.display().to_string()),
            ("admin-listen", or(self.admin_listen, "off")),
            ("base-role-arn", or(self.base_role_arn.as_ref(), "(none)")),
            ("default-role", or(self.default_role.as_ref(), "(none)")),
            ("log-level", self.log.level.to_string()),
            ("log-format", self.log.format.to_string()),
        ]
    }
}

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

impl std::str::FromStr for Pods {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("file:") {
            Some(dir) if !dir.is_empty() => Ok(Self::Files(directory("--pods", dir.into())?)),
            _ if text == "kube" => Err(Error::PodsFromKubernetes),
            _ => Err(Error::Pods(text.to_owned())),
        }
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(dir) => write!(f, "file:{}", dir.display()),
        }
    }
}

fn roles(
    base: Option<String>,
    default: Option<String>,
) -> Result<(Option<BaseArn>, Option<RoleArn>), Error> {
    let error = |flag| move |source: InvalidRole| Error::Role { flag, source };
    let base = given(base)
        .map(|text| text.parse::<BaseArn>())
        .transpose()
        .map_err(error("--base-role-arn"))?;
    let default = given(default)
        .map(|role| BaseArn::resolve(base.as_ref(), &role))
        .transpose()
        .map_err(error("--default-role"))?;
    Ok((base, default))
}

fn admin_listen(text: &str) -> Result<Option<SocketAddr>, Error> {
    if text == "off" {
        return Ok(None);
    }
    match text.parse() {
        Ok(address) => Ok(Some(address)),
        Err(source) => Err(Error::AdminListen {
            value: text.to_owned(),
            source,
        }),
    }
}

fn directory(flag: &'static str, path: PathBuf) -> Result<PathBuf, Error> {
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Error::NotADirectory { flag, path }),
        Err(source) => Err(Error::NoDirectory { flag, path, source }),
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Error::RuntimeDir(path))
    }
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

#[cfg(test)]
mod tests;
