//! Packets: whatever still goes to the metadata address did not come by way of `connect()`, and is dropped. Raw
//! sockets are caught here, and connections that are older than the programs.
//!
//! What a pod sends through the proxy carries the proxy's address and is never looked at twice.

use aya_log_ebpf::debug;
use bpf2iam_ebpf::decide::{self, Verdict};

use crate::{Outcome, connect::of_cgroup, context::Packet, count::count, maps};

#[inline(always)]
pub(crate) fn on_packet(packet: &Packet) -> Outcome {
    match packet.destination() {
        Some(address) if !address.is_metadata() => Outcome::Allow,
        Some(_) => guard(packet),
        // What has no whole header is no packet that anybody sends; where it goes cannot be told.
        None => Outcome::Deny,
    }
}

#[inline(always)]
fn guard(packet: &Packet) -> Outcome {
    let Some(rules) = maps::rules() else {
        return Outcome::Deny;
    };
    let caller = of_cgroup(packet.cgroup_id(), |level| packet.ancestor_cgroup_id(level));
    match decide::send(caller, &rules) {
        // The connect that it belongs to was counted.
        Verdict::Pass(_) => Outcome::Allow,
        Verdict::Refuse(_) | Verdict::Redirect(_) | Verdict::Record => {
            debug!(
                packet.context(),
                "dropped a packet from cgroup {}", caller.cgroup_id
            );
            count(|counters| &mut counters.dropped_packets);
            Outcome::Deny
        }
    }
}
