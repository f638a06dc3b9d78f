//! What every verb needs to know: where the project is, where tools are kept, whether packages may be installed.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Whether Debian packages may be installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    Allowed,
    Forbidden,
}

impl From<bool> for Install {
    /// From the flag `--no-install`.
    fn from(no_install: bool) -> Self {
        if no_install {
            Self::Forbidden
        } else {
            Self::Allowed
        }
    }
}

/// The context in which a verb runs.
pub(crate) struct Cx {
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// Where tools live that outlive a clone.
    pub(crate) cache: PathBuf,
    /// Whether Debian packages may be installed.
    pub(crate) install: Install,
}

impl Cx {
    /// Reads the environment once.
    pub(crate) fn new(install: Install) -> Result<Self> {
        let xtask = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask
            .parent()
            .context("xtask lies below the root of the workspace")?
            .to_owned();
        let cache = cache_dir(
            env::var_os("XDG_CACHE_HOME").as_ref(),
            env::var_os("HOME").as_ref(),
        )
        .context("neither XDG_CACHE_HOME nor HOME says where the tool cache is")?;
        Ok(Self {
            root,
            cache,
            install,
        })
    }

    /// The directory for build output, as cargo would choose it.
    pub(crate) fn target_dir(&self) -> PathBuf {
        let chosen = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        self.root.join(chosen)
    }
}

/// The tool cache by the rules for base directories: a relative `XDG_CACHE_HOME` does not count.
fn cache_dir<S: AsRef<Path>>(xdg_cache_home: Option<S>, home: Option<S>) -> Option<PathBuf> {
    let absolute = |dir: S| Some(dir.as_ref().to_owned()).filter(|dir| dir.is_absolute());
    let base = xdg_cache_home
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")));
    Some(base?.join("bpf2iam"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_environment_says() {
        for (xdg, home, expected) in [
            (Some("/c"), Some("/h"), Some("/c/bpf2iam")),
            (None, Some("/h"), Some("/h/.cache/bpf2iam")),
            (Some(""), Some("/h"), Some("/h/.cache/bpf2iam")),
            (Some("relative"), Some("/h"), Some("/h/.cache/bpf2iam")),
            (Some("relative"), Some("relative"), None),
            (None, None, None),
        ] {
            assert_eq!(
                cache_dir(xdg, home),
                expected.map(PathBuf::from),
                "{xdg:?} {home:?}"
            );
        }
    }
}
