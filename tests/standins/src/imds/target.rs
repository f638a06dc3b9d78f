//! What a request target means. As lenient as any metadata service was ever seen to be, and more: whatever spelling
//! might reach the node's secrets somewhere reaches them here, so that only the agent keeps pods away from them.

use percent_encoding::percent_decode_str;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/latest/api/token`, the only place where tokens come from.
    Token,
    /// The same under a dated version, or with a slash behind it.
    AlmostToken,
    /// `/`: the list of versions.
    Versions,
    /// A path below a version; empty for the version itself.
    Tree(String),
    /// Below no version that exists.
    Nothing,
}

/// The versions that EC2 has published; the last one is always `latest`. Both lists with 2022-07-09 and without it were
/// captured, so that it is there on some instances.
pub const VERSIONS: &[&str] = &[
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-07-09",
    "2022-09-24",
    "2024-04-11",
    "latest",
];

/// What a path means as it came, without its query: escapes are decoded once, then slashes and dot segments go.
pub fn target_of(path: &str) -> Target {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments = resolved(&decoded);
    let Some((version, below)) = segments.split_first() else {
        return Target::Versions;
    };
    if !VERSIONS.contains(version) {
        return Target::Nothing;
    }
    if below == ["api", "token"] {
        let exact = *version == "latest" && !decoded.ends_with('/');
        return if exact {
            Target::Token
        } else {
            Target::AlmostToken
        };
    }
    Target::Tree(below.join("/"))
}

impl Target {
    /// Whether it leads to what is the node's alone, whatever anybody allows to pods: keys and secrets, and what says
    /// whose keys they are.
    pub fn is_the_nodes_alone(&self) -> bool {
        let Self::Tree(path) = self else {
            return false;
        };
        [
            "user-data",
            "meta-data/iam",
            "meta-data/identity-credentials",
        ]
        .iter()
        .filter_map(|secret| path.strip_prefix(secret))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn resolved(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str) -> Target {
        Target::Tree(path.to_owned())
    }

    #[test]
    fn odd_spellings_mean_the_same() {
        let list = tree("meta-data/iam/security-credentials");
        for path in [
            "/latest/meta-data/iam/security-credentials",
            "/latest/meta-data/iam/security-credentials/",
            "//latest/meta-data//iam/security-credentials",
            "/1.0/meta-data/iam/security-credentials/",
            "/2021-03-23/meta-data/iam/./security-credentials",
            "/latest/meta-data/placement/../iam/security-credentials/",
            "/latest/user-data/%2e%2e/meta-data/iam/security-credentials",
            "/latest/meta-data%2Fiam/security%2Dcredentials",
            "/../latest/meta-data/iam/security-credentials",
        ] {
            assert_eq!(target_of(path), list, "{path}");
        }
    }

    #[test]
    fn the_nodes_secrets_are_known_by_their_paths() {
        for (path, alone) in [
            ("/latest/user-data", true),
            ("/1.0/meta-data/../user-data/x", true),
            ("/latest/meta-data/iam", true),
            ("/latest/meta-data//iam/info", true),
            ("/latest/meta-data/%69dentity-credentials/ec2/info", true),
            ("/latest/user-data-of-mine", false),
            ("/latest/meta-data/iamb", false),
            ("/latest/meta-data", false),
            ("/latest/api/token", false),
            ("/user-data", false),
            ("/", false),
        ] {
            assert_eq!(target_of(path).is_the_nodes_alone(), alone, "{path}");
        }
    }

    #[test]
    fn what_is_decoded_is_decoded_once() {
        assert_eq!(
            target_of("/latest/meta-data/iam/security-credentials/team%2Ba%3Db%2Cc.d%40e"),
            tree("meta-data/iam/security-credentials/team+a=b,c.d@e")
        );
        assert_eq!(target_of("/latest/a%252Fb"), tree("a%2Fb"));
        assert_eq!(target_of("/latest/a+b"), tree("a+b"));
    }

    #[test]
    fn versions_are_known_and_case_counts() {
        for (path, target) in [
            ("/", Target::Versions),
            ("//", Target::Versions),
            ("/latest", tree("")),
            ("/2009-04-04/", tree("")),
            ("/Latest/meta-data", Target::Nothing),
            ("/2999-01-01/meta-data", Target::Nothing),
            ("/meta-data/instance-id", Target::Nothing),
        ] {
            assert_eq!(target_of(path), target, "{path}");
        }
    }

    #[test]
    fn tokens_come_from_one_place_only() {
        for (path, target) in [
            ("/latest/api/token", Target::Token),
            ("/latest/api/token/", Target::AlmostToken),
            ("/2021-03-23/api/token", Target::AlmostToken),
            ("/1.0/api/token", Target::AlmostToken),
            ("/latest/api", tree("api")),
            ("/latest/api/tokens", tree("api/tokens")),
            ("/api/token", Target::Nothing),
        ] {
            assert_eq!(target_of(path), target, "{path}");
        }
    }
}
