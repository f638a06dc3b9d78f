//! What the allocator keeps of memory that is not used any more.

#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "no crate wraps malloc_trim")
)]

/// Gives it back to the system. glibc by itself does so at the end of the heap only.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and may be called at any time on any thread.
    let _some_was = unsafe { libc::malloc_trim(0) } != 0;
}
