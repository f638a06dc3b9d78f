//! Whether this kernel is one that the programs run on.

use crate::redirect::preflight::{self, Missing};

use super::{Check, Finding};

/// A kernel.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    release: String,
    enough: Result<(), Missing>,
}

pub(super) fn gather() -> Facts {
    Facts {
        release: preflight::release(),
        enough: preflight::kernel()
            .and_then(|()| preflight::features())
            .and_then(|()| preflight::helpers()),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    vec![match &facts.enough {
        Ok(()) => {
            let what = format!(
                "Linux {}, with the programs, maps and functions that are needed",
                facts.release
            );
            Finding::ok(Check::Kernel, what)
        }
        Err(missing) => lacks(Check::Kernel, missing),
    }]
}

pub(super) fn gather_btf() -> Result<(), Missing> {
    preflight::btf()
}

pub(super) fn judge_btf(facts: &Result<(), Missing>) -> Vec<Finding> {
    vec![match facts {
        Ok(()) => Finding::ok(Check::Btf, "the kernel describes its types"),
        Err(missing) => lacks(Check::Btf, missing),
    }]
}

fn lacks(check: Check, missing: &Missing) -> Finding {
    let fix = "give the node an image with Linux 5.15 or newer and BTF, such as Amazon Linux 2023 or Bottlerocket";
    Finding::problem(check, missing.to_string(), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn an_old_kernel_and_one_without_features_are_problems() {
        for (enough, verdict, says) in [
            (Ok(()), Verdict::Ok, "Linux 6.1.0"),
            (
                Err(Missing::Kernel("5.4.0".to_owned())),
                Verdict::Problem,
                "this kernel is 5.4.0; Linux 5.15",
            ),
            (
                Err(Missing::Feature("sock_ops programs")),
                Verdict::Problem,
                "has no sock_ops programs; it needs CONFIG_CGROUP_BPF=y",
            ),
            (
                Err(Missing::Helper {
                    helper: "store_hdr_opt",
                    programs: "sock_ops programs",
                }),
                Verdict::Problem,
                "has no bpf_store_hdr_opt for sock_ops programs; it needs",
            ),
        ] {
            let release = "6.1.0".to_owned();
            let found = judge(&Facts { release, enough });
            assert_eq!((found.len(), found[0].verdict), (1, verdict));
            assert!(found[0].what.contains(says), "{found:?}");
        }
        assert_eq!(judge_btf(&Ok(()))[0].verdict, Verdict::Ok);
        let found = &judge_btf(&Err(Missing::Btf))[0];
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.what.contains("CONFIG_DEBUG_INFO_BTF"), "{found:?}");
    }
}
