//! Whether this process may do what the agent must. In the agent's container it may what the agent may.

use crate::redirect::preflight::{self, Missing};

use super::{Check, Finding, remedy::more_rights};

pub(super) fn gather() -> Result<(), Missing> {
    preflight::capabilities()
}

pub(super) fn judge(facts: &Result<(), Missing>) -> Vec<Finding> {
    vec![match facts {
        Ok(()) => {
            let what =
                "this process has CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_DAC_READ_SEARCH";
            Finding::ok(Check::Capabilities, what)
        }
        Err(missing) => Finding::problem(Check::Capabilities, missing.to_string(), more_rights()),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn what_is_lacking_is_named() {
        assert_eq!(judge(&Ok(()))[0].verdict, Verdict::Ok);
        let lacking = Missing::Capabilities(vec!["CAP_BPF".to_owned()]);
        let found = &judge(&Err(lacking))[0];
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.what.contains("lacks CAP_BPF;"), "{found:?}");
    }
}
