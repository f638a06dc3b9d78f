//! Of more cases than there is time for, a run takes a few, others each time. `BPF2IAM_CASES=all` takes all of them, and a
//! number this one of each.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
};

/// Which cases.
const CASES: &str = "BPF2IAM_CASES";

/// Some `few` of `all`, evenly, from a random one on; or what was asked for.
pub(crate) fn some_of<T>(all: Vec<T>, few: usize, number: impl Fn(&T) -> usize) -> Vec<T> {
    match env::var(CASES) {
        Ok(wanted) if wanted == "all" => all,
        Ok(wanted) => {
            let wanted: usize = wanted.parse().unwrap();
            let all = all.into_iter();
            all.filter(|case| number(case) == wanted).collect()
        }
        Err(_) => {
            let every = all.len().div_ceil(few).max(1);
            let random = RandomState::new().hash_one(few);
            let offset = usize::try_from(random % every as u64).unwrap();
            all.into_iter().skip(offset).step_by(every).collect()
        }
    }
}

/// Whether somebody has asked for all or one, and has the time.
pub(crate) fn is_asked() -> bool {
    env::var_os(CASES).is_some()
}
