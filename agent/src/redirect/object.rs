//! The BPF object that was built into this binary; `build.rs` put it there.

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bpf2iam-ebpf"));

/// The object; `None` when the binary was built without.
pub(super) fn bytes() -> Option<&'static [u8]> {
    (!OBJECT.is_empty()).then_some(OBJECT)
}
