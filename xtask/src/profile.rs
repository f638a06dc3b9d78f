//! How much is optimised.

/// How much the compiler optimises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// As shipped.
    Release,
}

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimise as for production
    #[arg(long)]
    release: bool,
}

impl Args {
    /// The profile that the flags choose.
    pub(crate) fn profile(&self) -> Profile {
        if self.release {
            Profile::Release
        } else {
            Profile::Dev
        }
    }
}
