//! `sendmsg()`: datagrams to the metadata address are refused. What `connect()` does with UDP, for sockets that are
//! not connected.

use aya_log_ebpf::debug;
use bpf2iam_ebpf::decide::{self, Verdict};

use crate::{
    Outcome,
    connect::{caller, passed, refused},
    context::SockAddr,
    maps,
};

#[inline(always)]
pub(crate) fn on_sendmsg(call: &SockAddr) -> Outcome {
    if !call.address().is_metadata() {
        return Outcome::Allow;
    }
    let Some(rules) = maps::rules() else {
        return Outcome::Deny;
    };
    let caller = caller();
    match decide::send(caller, &rules) {
        Verdict::Pass(why) => {
            passed(why);
            Outcome::Allow
        }
        Verdict::Refuse(why) => {
            debug!(
                call.context(),
                "refused a message from cgroup {}", caller.cgroup_id
            );
            refused(why);
            Outcome::Deny
        }
        Verdict::Redirect(_) | Verdict::Record => Outcome::Deny,
    }
}
