//! From which addresses of a pod the metadata service was asked: by this it is seen that a client goes the way that it
//! was told. Where there is an agent, the service does not see the pods, and the clients are told the same.

use std::net::SocketAddr;

use anyhow::Result;
use bpf2iam_support::{
    Pod,
    stage::{Control, Stage},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::transport::Transport;

/// The stand-in for the metadata service, that keeps a record of what it is asked.
pub(super) struct Service {
    control: Control,
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
struct Seen {
    at: Timestamp,
    peer: SocketAddr,
}

impl Service {
    /// Starts it, instead of the one that runs.
    pub(super) fn start(stage: &mut Stage) -> Result<Self> {
        let control = Control::prepare("imds-standin", stage.scratch())?;
        stage.start_imds(&["--control", &control.address()])?;
        Ok(Self { control })
    }

    /// Whether `pod` has asked it by `transport`, and in no other way, since then.
    pub(super) fn judge(
        &self,
        pod: &Pod,
        transport: Transport,
        since: Timestamp,
    ) -> Result<String, String> {
        let seen = self.control.ask("/requests").and_then(|seen| {
            let seen: Vec<Seen> = serde_json::from_value(seen)?;
            Ok(seen)
        });
        let seen = seen.map_err(|error| format!("{error:#}"))?;
        let own = |seen: &Seen| seen.at >= since && pod.ips().contains(&seen.peer.ip());
        let peers: Vec<_> = seen.into_iter().filter(own).map(|seen| seen.peer).collect();
        judge(transport, &peers)
    }
}

fn judge(transport: Transport, peers: &[SocketAddr]) -> Result<String, String> {
    let wanted = |peer: &SocketAddr| match transport {
        Transport::Ipv4 | Transport::Mapped => peer.is_ipv4(),
        Transport::Ipv6 => peer.is_ipv6(),
    };
    match peers.iter().find(|peer| !wanted(peer)) {
        Some(other) => Err(format!("goes another way: from {other}")),
        None if peers.is_empty() => Err("asks nobody".to_owned()),
        None => Ok(format!("{} requests, all of them so", peers.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_own_addresses() {
        let v4 = "10.77.1.1:4000".parse().unwrap();
        let v6 = "[fd77::1:1]:4000".parse().unwrap();
        for (transport, peers, expected) in [
            (Transport::Ipv4, &[v4, v4][..], true),
            (Transport::Mapped, &[v4], true),
            (Transport::Ipv6, &[v6, v6], true),
            (Transport::Ipv4, &[v4, v6], false),
            (Transport::Mapped, &[v6], false),
            (Transport::Ipv6, &[v6, v4], false),
            (Transport::Ipv6, &[], false),
        ] {
            assert_eq!(
                judge(transport, peers).is_ok(),
                expected,
                "{transport:?} {peers:?}"
            );
        }
    }
}
