//! The agent against a real API server. `cargo xtask api` brings it up; without it these tests are skipped.

#[cfg(test)]
mod line;
#[cfg(test)]
mod smoke;
