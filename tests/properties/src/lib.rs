//! What must hold whatever bytes a pod or a namespace comes up with.
//!
//! Each module has one function, `check`, which takes an input and panics if the agent does with it what it must never do.
//! `cargo xtask fuzz` calls it with what libFuzzer thinks of, the tier `it` with generated inputs and with all that
//! fuzzing has kept.

pub mod head;
pub mod metadata;
pub mod route;
pub mod token;

mod reader;
