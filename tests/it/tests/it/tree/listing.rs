//! Listings: what is there for a pod, and nothing else.

use bpf2iam_standins::imds::VERSIONS;

use crate::client::ROLES;

use super::{A, B, asked_paths, assert_absent, is_clean, setup, start, warm};

// imds.md 1.4: "`GET /` lists versions one per line"
#[tokio::test]
async fn the_versions_are_listed_and_nobody_is_asked_for_them() {
    let world = start().await;
    for client in [world.client(A), world.client(B)] {
        for path in ["/", "//", "/?", "/.", "/latest/.."] {
            let answer = client.get(path).await;
            assert_eq!(answer.seen(), (200, &*VERSIONS.join("\n")), "{path}");
        }
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

// imds.md 1.4: "`/latest/` lists", "Directory entries end with `/`, leaves do not; separator `\n`"
// imds.md 1.6: "Filter denied names out of listings as well"
#[tokio::test]
async fn a_directory_lists_what_the_pod_may_see() {
    let world = start().await;
    let with_role = "iam/\ninstance-id\ninstance-life-cycle\ninstance-type\nplacement/\nservices/";
    let without = with_role.strip_prefix("iam/\n").unwrap();
    for (directory, a, b) in [
        ("latest", "dynamic\nmeta-data", "dynamic\nmeta-data"),
        ("2021-03-23", "dynamic\nmeta-data", "dynamic\nmeta-data"),
        ("latest/meta-data", with_role, without),
        ("2009-04-04/meta-data", with_role, without),
        (
            "latest/meta-data/placement",
            "availability-zone\navailability-zone-id\nregion",
            "availability-zone\navailability-zone-id\nregion",
        ),
        (
            "latest/meta-data/services",
            "domain\npartition",
            "domain\npartition",
        ),
        ("latest/dynamic", "instance-identity/", "instance-identity/"),
        ("latest/dynamic/instance-identity", "document", "document"),
    ] {
        for (client, listing) in [(world.client(A), a), (world.client(B), b)] {
            for slash in ["", "/"] {
                let answer = client.get(&format!("/{directory}{slash}")).await;
                assert_eq!(answer.seen(), (200, listing), "{directory}{slash}");
            }
        }
    }
    // The real service is asked for these directories, and for nothing else.
    for path in asked_paths(&world) {
        let known = [
            "/latest",
            "/latest/dynamic",
            "/latest/dynamic/instance-identity",
            "/latest/meta-data",
            "/latest/meta-data/placement",
            "/latest/meta-data/services",
        ];
        assert!(known.contains(&path.trim_end_matches('/')), "{path}");
    }
}

// imds.md 1.4: "both 200 with the role"; 1.5: "No role: list → 404 page; same for iam/info"
#[tokio::test]
async fn the_iam_tree_is_the_pods_own_also_in_listings() {
    let world = start().await;
    let iam = "/latest/meta-data/iam/";
    assert_eq!(
        world.client(A).get(iam).await.seen(),
        (200, "info\nsecurity-credentials/")
    );
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    for path in [
        iam,
        ROLES,
        "/latest/meta-data/iam/info",
        "/latest/meta-data/iam",
    ] {
        assert_absent(&world.client(B).get(path).await, path);
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

#[tokio::test]
async fn a_directory_in_which_there_is_nothing_for_pods_is_not_there() {
    let world = start().await;
    for directory in [
        "meta-data/network",
        "meta-data/network/interfaces/macs",
        "meta-data/identity-credentials",
        "meta-data/public-keys",
        "meta-data/tags",
        "meta-data/events",
        "meta-data/block-device-mapping",
        "dynamic/fws",
    ] {
        for slash in ["", "/"] {
            let path = format!("/latest/{directory}{slash}");
            assert_absent(&world.client(A).get(&path).await, &path);
        }
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

// imds.md 1.4: "`public-keys/` uses `0=name` entries"
#[tokio::test]
async fn what_is_allowed_is_listed_too() {
    let setup = setup().args([
        "--allow-path=meta-data/public-keys/**",
        "--allow-path=meta-data/tags/instance/Name",
        "--allow-path=meta-data/hostname",
    ]);
    let world = warm(setup).await;
    for (directory, listing) in [
        (
            "meta-data",
            "hostname\niam/\ninstance-id\ninstance-life-cycle\ninstance-type\nplacement/\n\
             public-keys/\nservices/\ntags/",
        ),
        ("meta-data/tags", "instance/"),
        ("meta-data/tags/instance", "Name"),
        ("meta-data/public-keys", "0=AKIDNODE-key"),
        ("meta-data/public-keys/0", "openssh-key"),
        (
            "meta-data/placement",
            "availability-zone\navailability-zone-id\nregion",
        ),
    ] {
        let answer = world.client(A).get(&format!("/latest/{directory}/")).await;
        assert_eq!(answer.seen(), (200, listing), "{directory}");
    }
    let answer = world.client(B).get("/latest/meta-data/").await;
    assert!(
        is_clean(&answer) && !answer.body.contains("iam/"),
        "{answer:?}"
    );
}
