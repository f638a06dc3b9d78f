//! Numbers by which the kernel names its objects. They say nothing by themselves; only the kernel
//! that gave them can resolve them.

use std::fmt;

macro_rules! kernel_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// Takes the number as the kernel gave it.
            pub const fn new(id: u64) -> Self {
                Self(id)
            }

            /// The number, for the kernel.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

kernel_id! {
    /// A cgroup: the inode number of its directory in cgroup2 (`bpf_get_current_cgroup_id`, Linux 4.18).
    CgroupId
}

kernel_id! {
    /// A socket: unique until the next boot (`SO_COOKIE`, `bpf_get_socket_cookie`, Linux 4.12).
    SocketCookie
}

kernel_id! {
    /// A network namespace: unique until the next boot (`SO_NETNS_COOKIE`, Linux 5.14).
    NetnsCookie
}
