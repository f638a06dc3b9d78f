//! The agent against a real API server. `cargo xtask api` brings it up; without it these tests are skipped.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod chart;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod line;
#[cfg(test)]
mod own;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod restrictions;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod taint;
#[cfg(test)]
mod tapped;
#[cfg(test)]
mod uninstall;
#[cfg(test)]
mod web_identity;
