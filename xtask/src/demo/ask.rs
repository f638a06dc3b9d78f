//! Asking the metadata service from inside a pod, with plain curl.

use std::{fmt, os::unix::process::CommandExt as _, process::Output, time::Duration};

use anyhow::Result;
use bpf2iam_support::{Place, process::output};
use serde_json::Value;

/// The metadata service, as every SDK knows it.
pub(super) const METADATA: &str = "http://169.254.169.254/latest";
/// The list of roles; a role's name after it asks for its keys.
pub(super) const ROLES: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

/// What an instance is set up with, secrets at times.
pub(super) const USER_DATA: &str = "http://169.254.169.254/latest/user-data";

/// What is shown of a secret.
const SHOWN: usize = 8;
/// The fields of keys that are secret.
const SECRETS: [&str; 2] = ["SecretAccessKey", "Token"];
/// curl gives up long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// What curl got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP's status; 0 where nobody answered.
    pub(super) status: u16,
    /// The body; what curl said where nobody answered.
    pub(super) body: String,
}

/// Runs `curl ARGS` in `place`.
pub(super) fn curl(place: &Place, args: &[&str]) -> Result<Answer> {
    let mut curl = place.command("curl")?;
    curl.args(["-sS", "--max-time", "5", "--write-out", "\n%{http_code}"])
        .args(["--noproxy", "*"]) // whatever the environment says
        .args(args)
        .process_group(0); // Ctrl-C is for us
    Ok(Answer::of(&output(&mut curl, PATIENCE)?))
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        match status.parse() {
            Ok(status) if output.status.success() => Self {
                status,
                body: body.to_owned(),
            },
            _ => Self {
                status: 0,
                body: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            },
        }
    }

    /// The text, if that is what was asked for.
    pub(super) fn text(&self) -> Option<&str> {
        (self.status == 200).then_some(self.body.as_str())
    }

    /// The id of the access key; what came instead, if no keys came.
    pub(super) fn key(&self) -> String {
        let keys = self.keys().unwrap_or_default();
        let id = keys["AccessKeyId"].as_str();
        id.map_or_else(|| self.to_string(), str::to_owned)
    }

    /// The body, with its secrets cut short.
    pub(super) fn shortened(&self) -> String {
        let keys = self.keys().unwrap_or_default();
        let secrets = SECRETS.iter().filter_map(|name| keys[*name].as_str());
        secrets.fold(self.body.clone(), |body, secret| {
            let shown: String = secret.chars().take(SHOWN).collect();
            body.replace(secret, &format!("{shown}..."))
        })
    }

    fn keys(&self) -> Option<Value> {
        serde_json::from_str(self.text()?).ok()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            0 => write!(f, "no answer: {}", self.body),
            200 if self.body.lines().count() > 1 => f.write_str("200 OK"),
            200 => f.write_str(&self.shortened()),
            401 => f.write_str("401 Unauthorized"),
            404 => f.write_str("404 Not Found"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

    use super::*;

    fn answer(code: i32, stdout: &str) -> Answer {
        Answer::of(&Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.into(),
            stderr: b"curl: (7) refused\n".to_vec(),
        })
    }

    const KEYS: &str = r#"{"AccessKeyId": "ASIA1234567890", "SecretAccessKey": "abcdefghijkl", "Token": "IQoJabcdefgh"}"#;

    #[test]
    fn an_answer_has_status_and_body() {
        let role = answer(0, "billing\n200");
        assert_eq!((role.status, role.text()), (200, Some("billing")));
        assert_eq!(
            (role.key().as_str(), role.to_string().as_str()),
            ("billing", "billing")
        );
        let page = answer(0, "one\ntwo\n200");
        assert_eq!(page.to_string(), "200 OK");
        let refused = answer(0, "<html>\n\n404");
        assert_eq!((refused.status, refused.text()), (404, None));
        assert_eq!(refused.key(), "404 Not Found");
    }

    #[test]
    fn no_answer_is_told_from_an_answer() {
        for (code, stdout) in [(7, "\n000"), (28, "bill\n200"), (0, ""), (0, "no status")] {
            let nothing = answer(code, stdout);
            assert_eq!((nothing.status, nothing.text()), (0, None), "{stdout:?}");
            assert_eq!(nothing.to_string(), "no answer: curl: (7) refused");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = answer(0, &format!("{KEYS}\n200"));
        assert_eq!(keys.key(), "ASIA1234567890");
        for shown in [keys.shortened(), keys.to_string()] {
            assert!(shown.contains("ASIA1234567890"), "{shown}");
            assert!(shown.contains(r#""abcdefgh...""#), "{shown}");
            assert!(shown.contains(r#""IQoJabcd...""#), "{shown}");
        }
    }
}
