//! Why a setting is refused.

use std::{
    io,
    net::{AddrParseError, IpAddr},
    path::PathBuf,
};

use crate::{
    id::InvalidRole,
    kubernetes::{InvalidToken, InvalidUrl, daemon_set},
    metadata::InvalidAllow,
    pods::{
        binding::{InvalidCluster, InvalidSessionTags, InvalidTemplate},
        node_role::InvalidEntry,
    },
};

/// Why a setting is refused. Each names the flag, the value, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kubernetes would not take it as the name of a node.
    #[error(
        "{given_by} is {value:?}, which is no node's name (lower-case letters, digits, '-' and '.', at \
         most 253); give --node-name as `kubectl get nodes` shows it"
    )]
    NodeName {
        /// The flag, variable or place that it came from.
        given_by: &'static str,
        /// What was given.
        value: String,
    },
    /// Nothing can be pinned there.
    #[error("--pin-dir is {}, which is no absolute path below /; give one, such as /sys/fs/bpf/bpf2iam", .0.display())]
    PinDir(PathBuf),
    /// It names no DaemonSet.
    #[error("--daemon-set: {0}; give the agent's own, such as kube-system/bpf2iam")]
    DaemonSet(#[source] daemon_set::InvalidName),
    /// There are none without an API server.
    #[error("--daemon-set is {0}, but --pods is a directory; leave it out, or take --pods kube")]
    NoDaemonSets(daemon_set::Name),
    /// There is no node without an API server.
    #[error(
        "--startup-taint is given, but --pods is a directory; leave it out, or take --pods kube"
    )]
    NoNode,
    /// The machine does not say its name.
    #[error("cannot read the host name; give --node-name")]
    HostName(#[source] io::Error),
    /// It is no address.
    #[error("{given_by} is {value:?}, which is no IP address; give an address of this node")]
    NodeIp {
        /// The flag or variable that it came from.
        given_by: &'static str,
        /// What was given.
        value: String,
    },
    /// Pods cannot connect to it.
    #[error("{given_by} is {address}, to which no pod can connect; give an address of this node")]
    NodeIpUnusable {
        /// The flag or variable that it came from.
        given_by: &'static str,
        /// What was given.
        address: IpAddr,
    },
    /// There can be one listener a family.
    #[error("{given_by} has {first} and {second}; give at most one IPv4 and one IPv6 address")]
    NodeIpTwice {
        /// The flag or variable that they came from.
        given_by: &'static str,
        /// The first of the family.
        first: IpAddr,
        /// The second of the family.
        second: IpAddr,
    },
    /// No default route tells an address.
    #[error("this machine has no default route that tells its address; give --node-ip")]
    NoNodeIp,
    /// Nothing that pods come from.
    #[error("--pods is {0:?}; give kube, or file:DIR where DIR has the pods' manifests")]
    Pods(String),
    /// Whose API server?
    #[error(
        "--api-token is given without --api-server; give both, or neither to use the cluster's own"
    )]
    TokenWithoutServer,
    /// No header takes it.
    #[error("--api-token ($BPF2IAM_API_TOKEN) cannot be used")]
    ApiToken(#[source] InvalidToken),
    /// Not an address of an API server.
    #[error("--api-server cannot be used")]
    ApiServer(#[source] InvalidUrl),
    /// Only an API server mints tokens.
    #[error(
        "--credentials is web-identity, which needs the tokens of an API server; give --pods kube"
    )]
    WebIdentityOfFiles,
    /// Nothing there.
    #[error("{flag} is {}, which cannot be used; give a directory that is there", path.display())]
    NoDirectory {
        /// The flag.
        flag: &'static str,
        /// The directory that was given.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something else there.
    #[error("{flag} is {}, which is no directory; give one", path.display())]
    NotADirectory {
        /// The flag.
        flag: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// Another process would find another socket.
    #[error("--runtime-dir is {:?}; give a whole path, which begins with '/'", .0)]
    RuntimeDir(PathBuf),
    /// Not below the mount.
    #[error("--kubepods is {:?}; give the path of a cgroup below --cgroup-root, without '..'", .0)]
    Kubepods(PathBuf),
    /// Not an address.
    #[error("--admin-listen is {value:?}; give ADDRESS:PORT with an IP address, or off")]
    AdminListen {
        /// What was given.
        value: String,
        /// What is wrong.
        #[source]
        source: AddrParseError,
    },
    /// Not where a metadata service can be.
    #[error("{given_by} is {value:?}; give HOST[:PORT] or http://HOST[:PORT], without a path")]
    MetadataAddr {
        /// The flag or variable that it came from.
        given_by: &'static str,
        /// What was given.
        value: String,
    },
    /// Whom to ask?
    #[error(
        "{0}, so that nothing can be discovered; give --metadata-addr, or --base-role-arn and \
         --default-role"
    )]
    NothingToAsk(&'static str),
    /// No region or zone is called so.
    #[error(
        "{given_by} is {value:?}, which is no name (letters, digits and '-'); give one such as \
         eu-west-1 or eu-west-1a"
    )]
    Place {
        /// The flag or variable that it came from.
        given_by: &'static str,
        /// What was given.
        value: String,
    },
    /// Pods cannot be allowed to read it.
    #[error("--allow-path cannot be used")]
    AllowPath(#[source] InvalidAllow),
    /// It names no pods.
    #[error("--node-role-for cannot be used")]
    NodeRoleFor(#[source] InvalidEntry),
    /// Nobody and somebody.
    #[error("--node-role-for is {0:?}; give none alone, or those who are to keep the node's role")]
    NobodyAndOthers(String),
    /// The API server takes no such annotation.
    #[error(
        "{flag} is {value:?}, which is no key of an annotation; give one such as iam.amazonaws.com/role"
    )]
    Key {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
    },
    /// A role is no external id.
    #[error("--iam-role-key and --iam-external-id are both {0:?}; give two keys")]
    SameKey(String),
    /// They say two things.
    #[error("{0} and {1} are both given; give one of them")]
    Both(&'static str, &'static str),
    /// There is no node to ask.
    #[error(
        "without an agent nothing is discovered; give --base-role-arn and --default-role instead of \
         --auto-discover-base-arn and --auto-discover-default-role"
    )]
    DiscoverOffline,
    /// Not a role.
    #[error("{flag} cannot be used")]
    Role {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        #[source]
        source: InvalidRole,
    },
    /// Sessions cannot be called so.
    #[error("--session-name is {value:?}")]
    SessionName {
        /// What was given.
        value: String,
        /// What is wrong with it.
        #[source]
        source: InvalidTemplate,
    },
    /// No tag can tell such a cluster.
    #[error(transparent)]
    Cluster(#[from] InvalidCluster),
    /// Sessions cannot have such tags.
    #[error("--session-tags is {value:?}")]
    SessionTags {
        /// What was given.
        value: String,
        /// What is wrong with it.
        #[source]
        source: InvalidSessionTags,
    },
}
