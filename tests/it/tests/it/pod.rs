//! Pods of these tests: nobody runs in them, and they are where their connections come from.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr as _,
};

use bpf2iam::{
    attest::{Attest, Caller, Refusal, Via},
    id::{CgroupId, ContainerId, NetnsCookie, PodUid},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A pod by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pod(u8);

/// Of all of them.
pub(crate) const NAMESPACE: &str = "shop";

impl Pod {
    pub(crate) const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Where its connections come from.
    pub(crate) const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 1, self.0)
    }

    pub(crate) fn name(self) -> String {
        format!("pod-{}", self.0)
    }

    /// As logs name it.
    pub(crate) fn full_name(self) -> String {
        format!("{NAMESPACE}/{}", self.name())
    }

    pub(crate) fn uid(self) -> String {
        format!("0f1e2d3c-4b5a-6978-8796-0000000000{:02x}", self.0)
    }

    /// The id of its container `app`.
    pub(crate) fn container(self) -> String {
        format!("{:02x}", self.0).repeat(32)
    }

    /// As the API server would show it, with `role` in its annotation.
    pub(crate) fn manifest(self, role: Option<&str>) -> Value {
        let mut manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name(),
                "namespace": NAMESPACE,
                "uid": self.uid(),
            },
            "spec": {
                "nodeName": "node-1",
                "containers": [{"name": "app", "image": "registry.example/app"}],
            },
            "status": {"phase": "Running", "podIPs": [{"ip": self.address()}]},
        });
        if let Some(role) = role {
            manifest["metadata"]["annotations"] = json!({"iam.amazonaws.com/role": role});
        }
        manifest
    }
}

/// Attests by the client's address: what the kernel's record says elsewhere.
#[derive(Debug)]
pub(crate) struct ByAddress;

impl Attest for ByAddress {
    async fn attest(&self, _connection: &TcpStream, peer: SocketAddr) -> Result<Caller, Refusal> {
        match peer.ip() {
            IpAddr::V4(ip) if ip.octets().starts_with(&[127, 0, 1]) => {
                let pod = Pod(ip.octets()[3]);
                Ok(Caller {
                    cgroup: CgroupId::new(1000 + u64::from(pod.0)),
                    pod: PodUid::from_str(&pod.uid()).unwrap(),
                    container: Some(ContainerId::from_str(&pod.container()).unwrap()),
                    client: peer.ip(),
                    netns: NetnsCookie::new(u64::from(pod.0)),
                    via: Via::Redirect,
                })
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Err(Refusal::NoRecord),
        }
    }
}
