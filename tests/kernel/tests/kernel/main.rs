//! The real programs and the real agent on this kernel: what no other tier can show.
//!
//! Each test has a node of its own, without an uplink, and stand-ins for the metadata service and STS.

#[cfg(test)]
mod bpffs;
#[cfg(test)]
mod bypass;
#[cfg(test)]
mod choice;
#[cfg(test)]
mod conflict;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod established;
#[cfg(test)]
mod exempt;
#[cfg(test)]
mod exhausted;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod footprint;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod full_map;
#[cfg(test)]
mod hammer;
#[cfg(test)]
mod handed_over;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod hoard;
#[cfg(test)]
mod inside;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod kubepods;
#[cfg(test)]
mod leak;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mounted;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod path;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod residue;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod siege;
#[cfg(test)]
mod status;
#[cfg(test)]
mod stranger;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod suspended;
#[cfg(test)]
mod syn_cookies;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod translated;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod two_agents;
#[cfg(test)]
mod uninstall;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wall_clock;
