//! The JSON documents of the iam tree, in EC2's layout, the keys in EC2's order.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{creds::Draft, metadata::layout};

/// What most documents are about as long as: a session token takes most of it.
const USUAL_SIZE: usize = 2048;

/// The keys of a role.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Keys<'a> {
    pub(super) code: &'static str,
    pub(super) last_updated: WholeSeconds,
    pub(super) r#type: &'static str,
    pub(super) access_key_id: &'a str,
    pub(super) secret_access_key: &'a str,
    pub(super) token: &'a str,
    pub(super) expiration: WholeSeconds,
}

/// Why there are no keys.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) last_updated: WholeSeconds,
}

/// The instance profile.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Profile {
    pub(super) code: &'static str,
    pub(super) last_updated: WholeSeconds,
    pub(super) instance_profile_arn: String,
    pub(super) instance_profile_id: String,
}

/// A time as EC2 writes it. A fraction of a second would make botocore miss the expiry without a word.
pub(super) struct WholeSeconds(pub(super) Timestamp);

impl Serialize for WholeSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = Timestamp::from_second(self.0.as_second()).unwrap_or(self.0);
        serializer.collect_str(&whole)
    }
}

/// Writes `document` down.
pub(super) fn write(document: &impl Serialize) -> Bytes {
    draft(document).into()
}

/// Writes `document` down, whose text is as secret as what is in it.
pub(super) fn draft(document: &impl Serialize) -> Draft {
    let mut text = Draft::with_capacity(USUAL_SIZE);
    layout::write(document, &mut text)
        .expect("memory takes what is written, and the documents are flat");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_laid_out_as_ec2_does_and_stays_json() {
        let document = write(&Failure {
            code: "AssumeRoleUnauthorizedAccess",
            message: "say \"no\"\n".to_owned(),
            last_updated: WholeSeconds("2026-01-02T03:04:05.999Z".parse().unwrap()),
        });
        let expected = "{\n  \"Code\" : \"AssumeRoleUnauthorizedAccess\",\n  \"Message\" : \"say \\\"no\\\"\\n\",\n  \"LastUpdated\" : \"2026-01-02T03:04:05Z\"\n}";
        assert_eq!(document, expected);
    }
}
