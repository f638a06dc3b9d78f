//! Listings of directories, as a pod may see them.

use super::View;

/// Where the iam tree is listed, ...
const METADATA: &str = "meta-data";

/// ... as this.
const IAM: &str = "iam/";

/// Its entries are `0=name`, and mean the directory `0`.
const PUBLIC_KEYS: &str = "meta-data/public-keys";

/// Whether the iam tree is listed: it is where the instance has a role, and for a pod where the pod has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iam {
    /// It is.
    Shown,
    /// It is not.
    Hidden,
}

/// Of `listing`, which the real service gives for `directory`, the names that `view` may see; one a line, no newline at
/// the end, directories with a slash. None if there is nothing to see.
///
/// What the view may read as it is comes back as it is. That need not be a listing: where the real service has a leaf or
/// a directory, only its answer tells, and not for sure.
pub fn filtered(directory: &str, listing: &str, view: &View<'_>, iam: Iam) -> Option<String> {
    if view.may_read(directory) {
        return Some(listing.to_owned());
    }
    if !view.may_list(directory) {
        return None;
    }
    let mut names: Vec<_> = listing
        .split('\n')
        .filter(|name| shows(directory, name, view))
        .collect();
    if directory == METADATA && iam == Iam::Shown {
        let after = |name: &&&str| name.trim_end_matches('/') > IAM.trim_end_matches('/');
        let at = names.iter().take_while(|name| !after(name)).count();
        names.insert(at, IAM);
    }
    (!names.is_empty()).then(|| names.join("\n"))
}

/// Whether `view` may see the entry `name` of `directory`.
fn shows(directory: &str, name: &str, view: &View<'_>) -> bool {
    let (name, is_directory) = match name.strip_suffix('/') {
        Some(name) => (name, true),
        None if directory == PUBLIC_KEYS => (name.split('=').next().unwrap_or(name), true),
        // Nothing at the top has a slash.
        None => (name, directory.is_empty()),
    };
    let path = join(directory, name);
    let visible = view.may_read(&path) || is_directory && view.may_list(&path);
    visible && !name.is_empty()
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
mod tests;
