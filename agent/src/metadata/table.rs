//! The paths that are known by name: who may read them, and for how long an answer is good.

/// Who may read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every pod.
    Pods,
    /// Pods for which the operator or their namespace allows it.
    Allowed,
    /// Pods for which the operator allows it: signed proofs of who the node is.
    Operator,
    /// No pod: keys and secrets of the node.
    Never,
}

/// For how long the real service's answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As long as the instance runs.
    Lasting,
    /// A few seconds.
    Brief,
    /// For nobody but who asked: notices that something is about to happen.
    Never,
}

/// What every pod may read and never changes while the instance runs: fetched before anybody asks.
pub const LASTING: &[&str] = &[];

/// Who may read `path`.
pub fn access(_path: &str) -> Access {
    Access::Never
}

/// For how long what is at `path` is good.
pub fn freshness(_path: &str) -> Freshness {
    Freshness::Brief
}
