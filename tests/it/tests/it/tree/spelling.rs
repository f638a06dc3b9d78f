//! One path in all its spellings.

use bpf2iam_standins::imds::{Effect, Rule, VERSIONS};

use crate::{client::ROLES, world::World};

use super::{A, OPEN, asked_paths, assert_absent, setup, start, warm};

const REGION: &str = "/latest/meta-data/placement/region";

async fn assert_region(world: &World, path: &str) {
    let answer = world.client(A).get(path).await;
    assert_eq!(answer.seen(), (200, "eu-west-1"), "{path}");
    // imds.md 1.4: "leaves carry no trailing newline"
    assert_eq!(answer.header("content-length"), "9", "{path}");
}

// imds.md 1.4: "Trailing slash is ignored on Nitro"
#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let world = start().await;
    for (path, text) in OPEN {
        for end in ["", "/", "//"] {
            let answer = world.client(A).get(&format!("/latest/{path}{end}")).await;
            assert_eq!(answer.seen(), (200, text), "{path}{end}");
        }
    }
    for name in ["a-role", "a-role/"] {
        let answer = world.client(A).get(&format!("{ROLES}{name}")).await;
        assert_eq!(answer.keys().code, "Success", "{name}");
    }
    for directory in [
        "/latest/meta-data/placement",
        "/latest",
        "/latest/meta-data/iam",
    ] {
        let plain = world.client(A).get(directory).await;
        let slash = world.client(A).get(&format!("{directory}/")).await;
        assert_eq!(plain.status, 200, "{directory}");
        assert_eq!(plain.seen(), slash.seen(), "{directory}");
    }
    // botocore and the CLIs depend on this one.
    let zone = "/latest/meta-data/placement/availability-zone/";
    assert_eq!(world.client(A).get(zone).await.seen(), (200, "eu-west-1a"));
}

// imds.md 1.4: "`//latest/…` and `security-credentials//<role>` are real requests and must be served"
#[tokio::test]
async fn odd_spellings_of_what_is_open_are_served() {
    let world = start().await;
    for path in [
        "//latest/meta-data/placement/region",
        "/latest//meta-data///placement/region",
        "/latest/./meta-data/placement/./region",
        "/latest/meta-data/services/../placement/region",
        "/latest/user-data/../meta-data/placement/region",
        "/latest/meta-data/%70lacement/%72egion",
        "/latest/meta-data%2Fplacement%2fregion",
        "/latest/meta-data/placement/region?recursive=true&x=/latest/user-data",
        "http://169.254.169.254/latest/meta-data/placement/region",
        "http://example.com/latest/meta-data/placement/region",
    ] {
        assert_region(&world, path).await;
    }
    let keys = world.client(A).get(&format!("{ROLES}/a-role")).await.keys();
    assert_eq!(keys.code, "Success");
    assert_eq!(asked_paths(&world), [""; 0]);
}

// imds.md 1.4: "Version prefixes"
#[tokio::test]
async fn every_version_has_the_same_tree_and_others_have_none() {
    let world = start().await;
    for version in VERSIONS {
        assert_region(&world, &format!("/{version}/meta-data/placement/region")).await;
        let list = format!("/{version}/meta-data/iam/security-credentials/");
        let list = world.client(A).get(&list).await;
        assert_eq!(list.seen(), (200, "a-role"), "{version}");
        for secret in ["user-data", "meta-data/identity-credentials/ec2/info"] {
            let path = format!("/{version}/{secret}");
            assert_absent(&world.client(A).get(&path).await, &path);
        }
    }
    for version in [
        "2038-01-19",
        "2.0",
        "1.1",
        "2021-3-23",
        "newest",
        "api",
        "..",
        "*",
    ] {
        for below in ["", "/", "/meta-data/placement/region", "/user-data"] {
            let path = format!("/{version}{below}");
            // A climb above the root is no path, and a version that is none has nothing.
            assert_absent(&world.client(A).get(&path).await, &path);
        }
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

// imds.md 1.4: "case-sensitively"
#[tokio::test]
async fn case_counts() {
    let world = start().await;
    for path in [
        "/Latest/meta-data/placement/region",
        "/latest/Meta-Data/placement/region",
        "/latest/meta-data/PLACEMENT/region",
        "/latest/meta-data/placement/Region",
        "/latest/meta-data/IAM/security-credentials/",
        "/latest/User-Data",
        "/latest/Dynamic/instance-identity/document",
    ] {
        assert_absent(&world.client(A).get(path).await, path);
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

// imds.md 1.4: "Role segment may contain `+ = , . @ -` unescaped, or percent-encoded"
#[tokio::test]
async fn role_names_are_decoded_once_and_then_compared() {
    let world = warm(setup().pod(super::Pod::new(3), "team+a=b,c.d@e")).await;
    let client = world.client(super::Pod::new(3));
    assert_eq!(client.get(ROLES).await.seen(), (200, "team+a=b,c.d@e"));
    for name in [
        "team+a=b,c.d@e",
        "team%2Ba%3Db%2Cc.d%40e",
        "%74eam+a=b%2cc.d@e",
    ] {
        let answer = client.get(&format!("{ROLES}{name}")).await;
        assert_eq!(answer.keys().code, "Success", "{name}");
    }
    for name in [
        "team%252Ba=b,c.d@e",
        "team a=b,c.d@e",
        "team%20a=b,c.d@e",
        "Team+a=b,c.d@e",
    ] {
        let path = format!("{ROLES}{name}");
        let answer = client
            .send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        let answer = answer.unwrap();
        assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
        assert!(!answer.body.contains("AccessKeyId"), "{name}");
    }
}

// imds.md 1.4: "Never redirect"
#[tokio::test]
async fn nothing_is_ever_redirected() {
    let world = start().await;
    for effect in [None, Some(Effect::Redirect)] {
        world
            .imds()
            .rules()
            .set(effect.map(Rule::always).into_iter().collect());
        for path in [
            "",
            "/latest",
            "/latest/meta-data",
            "/latest/dynamic",
            "/latest/user-data",
            "/latest/meta-data/placement",
            "/latest/meta-data/iam",
            REGION,
            "/latest/meta-data/iam/security-credentials",
            "//latest//meta-data",
        ] {
            let path = if path.is_empty() { "/" } else { path };
            let answer = world.client(A).get(path).await;
            assert!(!(300..400).contains(&answer.status), "{path}: {answer:?}");
            assert_eq!(answer.header("location"), "", "{path}");
        }
    }
}
