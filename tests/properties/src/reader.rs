//! A reader of paths who sees a secret of the node wherever anybody might.

use bpf2iam_standins::imds::target_of;
use percent_encoding::percent_decode_str;

/// Nobody decodes more often than that.
const DECODED: usize = 4;

/// Whether somebody who is asked for `path` below a version might give a secret: somebody who decodes it once more than
/// others, does not tell capitals, takes backslashes for slashes, or does not read a segment to its end.
pub(crate) fn finds_a_secret(path: &str) -> bool {
    let mut path = path.to_owned();
    (0..=DECODED).any(|_| {
        let found = is_secret(&path) || is_secret(&blurred(&path));
        path = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        found
    })
}

fn is_secret(path: &str) -> bool {
    target_of(&format!("/latest/{path}")).is_the_nodes_alone()
}

fn blurred(path: &str) -> String {
    let path = path.to_lowercase().replace('\\', "/");
    let segments = path.split('/').map(|segment| {
        let end = segment.find(['\0', ';', '?', '#']);
        let (begin, _) = segment.split_at(end.unwrap_or(segment.len()));
        begin.trim()
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_every_spelling() {
        for path in [
            "user-data",
            "User-Data",
            "%75ser-data",
            "%2575ser-data",
            "user-data;a",
            "user-data%00",
            "user-data%20/",
            "meta-data/IAM/info",
            "meta-data\\iam\\info",
            "meta-data%5ciam",
            "meta-data/placement%2f..%2fiam/info",
            "meta-data/%252e%252e/user-data",
            "meta-data/identity-credentials/ec2?a",
        ] {
            assert!(finds_a_secret(path), "{path}");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        for path in [
            "",
            "meta-data",
            "meta-data/iamb",
            "meta-data/tags/instance/iam",
            "dynamic/user-data",
            "user-data-of-mine",
            "%",
            "meta-data/iam%2",
        ] {
            assert!(!finds_a_secret(path), "{path}");
        }
    }
}
