//! Whether programs of others keep ours from being attached, and who else is there.

use std::{io, path::Path};

use crate::redirect::{
    Neighbour, Pins,
    look::{self, Held},
    neighbours,
};

use super::{Check, Finding, Pods, remedy::more_rights};

/// Who else is attached.
#[derive(Debug)]
pub(super) struct Facts {
    /// Whether all of ours are.
    attached: bool,
    others: io::Result<Vec<Neighbour>>,
}

pub(super) fn gather(pods: &Pods, pin_dir: &Path, attached: bool) -> Facts {
    let ours = ours(pin_dir);
    Facts {
        attached,
        others: neighbours(&pods.kubepods, &pods.root, &ours),
    }
}

/// The ids of the programs that are pinned, of all versions.
fn ours(pin_dir: &Path) -> Vec<u32> {
    let others = Pins::at(pin_dir).others().unwrap_or_default();
    let links = look::links(&Pins::at(pin_dir)).into_iter();
    let links = links.chain(
        others
            .iter()
            .flat_map(|dir| look::links(&Pins::in_dir(dir))),
    );
    let program = |held| match held {
        Held::Link { program, .. } => Some(program),
        Held::Missing | Held::Unreadable(_) | Held::Foreign => None,
    };
    links.filter_map(|pinned| program(pinned.held)).collect()
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let others = match &facts.others {
        Ok(others) => others,
        Err(error) => {
            let what = format!("cannot see what is attached to the pods' cgroup: {error}");
            return vec![Finding::warning(Check::Conflicts, what, more_rights())];
        }
    };
    let (exclusive, friendly): (Vec<_>, Vec<_>) = others.iter().partition(|one| one.excludes);
    if exclusive.is_empty() {
        let names: Vec<_> = friendly.into_iter().map(name).collect();
        let beside = match &*names.join(", ") {
            "" => "nobody else is attached there".to_owned(),
            names => format!("beside ours there are {names}"),
        };
        let what = format!("no program keeps ours from the pods' cgroup; {beside}");
        return vec![Finding::ok(Check::Conflicts, what)];
    }
    let told = |one| conflict(one, facts.attached);
    exclusive.into_iter().map(told).collect()
}

fn conflict(one: &Neighbour, attached: bool) -> Finding {
    let (cgroup, place, id) = (one.cgroup.display(), one.place, one.id);
    let what = format!(
        "the program {} is attached so that no other may be",
        name(one)
    );
    let fix = format!(
        "have its owner attach it with the flag `multi` or as a link; or take it away: bpftool cgroup detach {cgroup} \
         {place} id {id}"
    );
    if attached {
        let what = format!("{what}; ours came before it, but could not be attached anew");
        return Finding::warning(Check::Conflicts, what, fix);
    }
    Finding::problem(Check::Conflicts, what, fix)
}

fn name(one: &Neighbour) -> String {
    let (name, id, place) = (&one.name, one.id, one.place);
    format!("{name} (id {id}, {place}, {})", one.cgroup.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn neighbour(excludes: bool) -> Neighbour {
        Neighbour {
            name: "cil_connect4".to_owned(),
            id: 12,
            cgroup: "/c".into(),
            place: "cgroup_inet4_connect",
            excludes,
        }
    }

    #[test]
    fn who_excludes_ours_is_named() {
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        let named = "cil_connect4 (id 12, cgroup_inet4_connect, /c)";
        for (attached, others, verdict, says) in [
            (true, Ok(vec![]), Verdict::Ok, "nobody else"),
            (false, Ok(vec![neighbour(false)]), Verdict::Ok, named),
            (
                false,
                Ok(vec![neighbour(false), neighbour(true)]),
                Verdict::Problem,
                named,
            ),
            (true, Ok(vec![neighbour(true)]), Verdict::Warning, named),
            (false, denied(), Verdict::Warning, "cannot see"),
        ] {
            let found = judge(&Facts { attached, others });
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].what.contains(says), "{found:?}");
        }
        let others = Ok(vec![neighbour(true)]);
        let attached = false;
        let found = judge(&Facts { attached, others });
        let fix = found[0].fix.as_deref().unwrap();
        assert!(
            fix.ends_with("bpftool cgroup detach /c cgroup_inet4_connect id 12"),
            "{fix}"
        );
    }
}
