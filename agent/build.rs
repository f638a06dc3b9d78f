//! Puts the BPF object into the binary.
//!
//! `BPF2IAM_EBPF_OBJECT` names the object, as `cargo xtask build` sets it. Without it the binary carries an empty
//! one: everything compiles and is tested, and `bpf2iam run` says that it was built without.

use std::{env, fs, path::PathBuf};

const OBJECT: &str = "BPF2IAM_EBPF_OBJECT";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OBJECT}");
    let target = PathBuf::from(env::var("OUT_DIR")?).join("bpf2iam-ebpf");
    match env::var_os(OBJECT).filter(|path| !path.is_empty()) {
        Some(object) => {
            println!(
                "cargo::rerun-if-changed={}",
                PathBuf::from(&object).display()
            );
            let bytes = fs::read(&object)
                .map_err(|error| format!("cannot read {OBJECT}={}: {error}", object.display()))?;
            fs::write(target, bytes)?;
        }
        None => fs::write(target, [])?,
    }
    Ok(())
}
