//! Dumps of this process would have every pod's keys in them: there are none.

use rustix::{
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit},
};

/// What may be dumped all the same.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process itself; and programs of its user may read its memory.
    #[error("the agent's memory may end up in a core dump")]
    Process(#[source] Errno),
    /// What it starts: a plugin of a kubeconfig has a token, too.
    #[error("what the agent starts may leave core dumps")]
    Children(#[source] Errno),
}

/// From now on the kernel dumps no core of this process, neither to a file nor to a program (`core_pattern`), and
/// shows its memory only to who may trace everybody. What it starts dumps no core to a file.
pub fn forbid() -> Result<(), Error> {
    let process = set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Error::Process);
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let children = setrlimit(Resource::Core, nothing).map_err(Error::Children);
    process.and(children)
}
