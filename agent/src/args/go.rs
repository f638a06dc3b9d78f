//! Values as Go programs take them, kube2iam among them.

use std::str::FromStr;

/// A flag that is on or off: `--flag`, `--flag=true`, `--flag=false`, but never `--flag true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// As if it were not there.
    #[default]
    Off,
    /// It applies.
    On,
}

impl Switch {
    /// Whether it applies.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// A text that is neither on nor off.
#[derive(Debug, thiserror::Error)]
#[error("it is neither true nor false")]
pub struct NeitherOnNorOff;

impl FromStr for Switch {
    type Err = NeitherOnNorOff;

    /// What `strconv.ParseBool` takes; and nothing, because charts write that for what is not set.
    fn from_str(text: &str) -> Result<Self, NeitherOnNorOff> {
        match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Self::On),
            "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Ok(Self::Off),
            _ => Err(NeitherOnNorOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_what_go_takes_for_a_truth() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert!(text.parse::<Switch>().unwrap().is_on(), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False", ""] {
            assert!(!text.parse::<Switch>().unwrap().is_on(), "{text}");
        }
        for text in ["yes", "on", "tRUE", " true", "2", "$(IPTABLES)"] {
            assert!(text.parse::<Switch>().is_err(), "{text}");
        }
        assert!(!Switch::default().is_on());
    }
}
