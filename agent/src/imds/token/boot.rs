//! The time from one start of the kernel to the next.

use std::{fmt, fs, io, str::FromStr};

use uuid::Uuid;

/// Where the kernel tells it, to each process in each container alike. (Linux 2.3.16)
const PATH: &str = "/proc/sys/kernel/random/boot_id";

/// A boot of this machine: a random UUID that the kernel makes when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BootId(Uuid);

/// There is no telling which boot this is.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The kernel does not tell.
    #[error("cannot read {PATH}")]
    Read(#[source] io::Error),
    /// What it tells is no UUID.
    #[error("{0:?} is not the id of a boot")]
    Parse(String),
}

impl BootId {
    /// The boot with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The boot that we are in.
    pub fn current() -> Result<Self, BootError> {
        fs::read_to_string(PATH)
            .map_err(BootError::Read)?
            .trim_end()
            .parse()
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for BootId {
    type Err = BootError;

    fn from_str(text: &str) -> Result<Self, BootError> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_not| BootError::Parse(text.to_owned()))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_to_the_same() {
        let text = "3b241101-e2bb-4255-8caf-4136c566a962";
        let boot: BootId = text.parse().unwrap();
        assert_eq!(boot.to_string(), text);
        assert_eq!(boot.as_bytes()[..4], [0x3b, 0x24, 0x11, 0x01]);
    }

    #[test]
    fn what_is_no_uuid_is_no_boot() {
        for text in [
            "",
            "boot",
            "3b241101-e2bb-4255-8caf-4136c566a96",
            "3b241101-e2bb-4255-8caf-4136c566a962\n",
        ] {
            let refused = text.parse::<BootId>().unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("{text:?} is not the id of a boot")
            );
        }
    }

    #[test]
    fn we_are_in_one_boot_all_the_time() {
        let boot = BootId::current().unwrap();
        assert_eq!(BootId::current().unwrap(), boot);
        assert!(!boot.0.is_nil());
    }
}
