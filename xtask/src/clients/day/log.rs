//! What an SDK complains of in its log.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// What all SDKs say, word for word, when they are given keys that end too soon. boto3 does not call it a warning.
const EXTENSION: &str = "credential service availability issue";

/// What botocore says of the metadata service only where it looks for faults: nobody is to be asked twice.
const RETRIES: [&str; 2] = [
    "Caught retryable HTTP exception while making metadata service request",
    "Metadata service returned",
];

/// What lines begin with that are no good news.
const LEVELS: [&str; 4] = ["WARN", "WARNING", "ERROR", "CRITICAL"];

/// The complaints in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaints(Vec<String>);

impl Complaints {
    /// Those in this file.
    pub(super) fn read(log: &Path) -> Result<Self> {
        let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
        Ok(Self::of(&text))
    }

    pub(super) fn of(text: &str) -> Self {
        let complaints = text.lines().filter(|line| is_complaint(line));
        Self(complaints.map(|line| line.trim().to_owned()).collect())
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// Those about keys that end too soon.
    pub(super) fn of_early_ends(&self) -> Self {
        let early = self.0.iter().filter(|line| line.contains(EXTENSION));
        Self(early.cloned().collect())
    }

    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }
}

fn is_complaint(line: &str) -> bool {
    let level = line.split_whitespace().next().unwrap_or_default();
    LEVELS.contains(&level)
        || line.contains(EXTENSION)
        || RETRIES.iter().any(|text| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_all_else() {
        for (line, expected) in [
            (
                "DEBUG botocore.credentials: Credentials need to be refreshed.",
                0,
            ),
            (
                "INFO botocore.credentials: Found credentials from IAM Role: a",
                0,
            ),
            ("DEBUG botocore.endpoint: WARNING of a role's name", 0),
            (" INFO lazy_load_identity: aws_smithy_runtime: loaded", 0),
            (
                "WARNING botocore.credentials: Refreshing temporary credentials failed during",
                1,
            ),
            (
                "INFO botocore.utils: Attempting credential expiration extension due to a \
                 credential service availability issue.",
                1,
            ),
            (" WARN aws_config::imds::credentials: anything", 1),
            ("ERROR aws_config: anything", 1),
            (
                "DEBUG botocore.utils: Metadata service returned non-200 response",
                1,
            ),
        ] {
            assert_eq!(Complaints::of(line).count(), expected, "{line}");
        }
    }

    #[test]
    fn keys_that_end_too_soon_are_one_complaint_of_several() {
        let text = format!("WARN one\nINFO two\n WARN three {EXTENSION} \n");
        let all = Complaints::of(&text);
        assert_eq!((all.count(), all.first()), (2, Some("WARN one")));
        let early = all.of_early_ends();
        assert_eq!(early.first(), Some(&*format!("WARN three {EXTENSION}")));
    }
}
