//! Counts what the programs do.

use bpf2iam_ebpf::abi::Counters;

use crate::maps;

/// Adds one to the counter that `pick` picks.
#[inline(always)]
pub(crate) fn count(pick: impl FnOnce(&mut Counters) -> &mut u64) {
    let Some(counters) = maps::counters() else {
        return;
    };
    // SAFETY: this CPU's element of a per-CPU map; a program is not preempted by another of the same CPU that
    // holds a reference to it (and if it were, a count would be lost, nothing else).
    let counters = unsafe { &mut *counters };
    let counter = pick(counters);
    *counter = counter.wrapping_add(1);
}
