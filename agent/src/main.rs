//! The `bpf2iam` command.
fn main() {}
