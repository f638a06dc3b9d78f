use proptest::prelude::*;

use super::*;
use crate::metadata::Allow;

const EC2: &str = "ami-id\nhostname\niam/\nidentity-credentials/\ninstance-id\ninstance-type\nlocal-ipv4\nmac\nnetwork/\n\
                   placement/\npublic-keys/\nservices/\nspot/\ntags/";

fn seen(directory: &str, listing: &str, entries: &[&str], iam: Iam) -> Option<String> {
    let operator = Allow::parse(entries.iter().copied()).unwrap();
    let view = View {
        operator: &operator,
        namespace: &Allow::default(),
    };
    filtered(directory, listing, &view, iam)
}

#[test]
fn a_pod_sees_what_it_may_read_and_what_is_on_the_way_to_it() {
    let usual = "instance-id\ninstance-type\nplacement/\nservices/";
    for (directory, listing, entries, expected) in [
        (
            "",
            "dynamic\nmeta-data\nuser-data",
            &[][..],
            Some("dynamic\nmeta-data"),
        ),
        (
            "",
            "dynamic\nmeta-data\nuser-data",
            &["**"],
            Some("dynamic\nmeta-data"),
        ),
        ("meta-data", EC2, &[], Some(usual)),
        (
            "meta-data",
            EC2,
            &["meta-data/network/**", "meta-data/mac"],
            Some("instance-id\ninstance-type\nmac\nnetwork/\nplacement/\nservices/"),
        ),
        (
            "meta-data",
            EC2,
            &["**/instance-action"],
            Some(
                "instance-id\ninstance-type\nnetwork/\nplacement/\npublic-keys/\nservices/\nspot/\ntags/",
            ),
        ),
        (
            "meta-data/placement",
            "availability-zone\navailability-zone-id\ngroup-name\nregion",
            &[],
            Some("availability-zone\navailability-zone-id\nregion"),
        ),
        (
            "dynamic/instance-identity",
            "document\npkcs7\nrsa2048\nsignature",
            &["dynamic/instance-identity/pkcs7"],
            Some("document\npkcs7"),
        ),
        (
            "dynamic",
            "fws/\ninstance-identity/",
            &[],
            Some("instance-identity/"),
        ),
        (
            "meta-data/tags/instance",
            "Name\nteam",
            &["meta-data/tags/instance/team"],
            Some("team"),
        ),
        (
            "meta-data/tags/instance",
            "Name\nteam",
            &["meta-data/tags/instance/owner"],
            None,
        ),
        ("meta-data/tags/instance", "Name\nteam", &[], None),
        ("meta-data/spot", "termination-time", &[], None),
        (
            "meta-data/iam",
            "info\nsecurity-credentials/",
            &["**"],
            None,
        ),
        ("meta-data/placement", "", &[], None),
        ("meta-data/placement", "\n\nregion\n", &[], Some("region")),
    ] {
        let seen = seen(directory, listing, entries, Iam::Hidden);
        assert_eq!(seen.as_deref(), expected, "{directory:?} {entries:?}");
    }
}

#[test]
fn the_iam_tree_is_listed_at_its_place_where_the_pod_has_a_role() {
    let listing = |listing, iam| seen("meta-data", listing, &["meta-data/*"], iam).unwrap();
    assert_eq!(
        listing(EC2, Iam::Shown),
        EC2.replace("identity-credentials/\n", "")
    );
    for (names, expected) in [
        ("ami-id\nspot/", "ami-id\niam/\nspot/"),
        ("ami-id", "ami-id\niam/"),
        ("spot/", "iam/\nspot/"),
        ("iam-x\nspot/", "iam/\niam-x\nspot/"),
        ("", "iam/"),
    ] {
        assert_eq!(listing(names, Iam::Shown), expected);
    }
    assert_eq!(seen("meta-data", "iam/", &["**"], Iam::Hidden), None);
    // It is nowhere else.
    let placement = seen("meta-data/placement", "region", &[], Iam::Shown);
    assert_eq!(placement.as_deref(), Some("region"));
}

#[test]
fn an_entry_of_public_keys_means_a_directory() {
    let keys = |entries: &[&str]| {
        seen(
            "meta-data/public-keys",
            "0=node\n1=admin",
            entries,
            Iam::Hidden,
        )
    };
    assert_eq!(keys(&[]), None);
    let first = keys(&["meta-data/public-keys/0/openssh-key"]);
    assert_eq!(first.as_deref(), Some("0=node"));
    let both = keys(&["meta-data/public-keys/*/openssh-key"]);
    assert_eq!(both.as_deref(), Some("0=node\n1=admin"));
    // Elsewhere it is a name.
    let tags = seen(
        "meta-data/tags/instance",
        "0=node",
        &["meta-data/tags/instance/0"],
        Iam::Hidden,
    );
    assert_eq!(tags, None);
}

#[test]
fn what_may_be_read_as_it_is_comes_as_it_is() {
    for (path, text, entries) in [
        (
            "meta-data/spot/instance-action",
            "{\"action\": \"stop\",\n \"time\": 1}",
            &["**"][..],
        ),
        (
            "meta-data/public-keys/0/openssh-key",
            "ssh-ed25519 AAAA node\n",
            &["meta-data/**"],
        ),
        (
            "meta-data/network",
            "interfaces/",
            &["meta-data/network/**"],
        ),
        (
            "meta-data/network/interfaces/macs",
            "0a:ff/",
            &["meta-data/**/macs/**"],
        ),
    ] {
        let seen = seen(path, text, entries, Iam::Hidden);
        assert_eq!(seen.as_deref(), Some(text), "{path}");
    }
}

proptest! {
    #[test]
    fn no_name_is_added_or_moved(
        directory in "(|meta-data|meta-data/(placement|network|public-keys)|dynamic(/instance-identity)?|[a-z]{1,3})",
        listing in "((iam|user-data|mac|region|document|0=k|[ -~]{0,4}|\\PC{0,3})/?\n){0,12}",
        entries in prop::collection::vec("(\\*\\*|\\*|meta-data|dynamic|[a-z*]{1,3})(/(\\*\\*|[a-z0-9*]{1,5})){0,3}", 0..4),
        shown in any::<bool>(),
    ) {
        let operator = Allow::of_namespace(entries.iter().map(String::as_str)).0;
        let view = View { operator: &operator, namespace: &Allow::default() };
        let iam = if shown { Iam::Shown } else { Iam::Hidden };
        let seen = filtered(&directory, &listing, &view, iam).unwrap_or_default();
        let iam_is_listed = seen.split('\n').any(|name| name == IAM);
        if !view.may_read(&directory) {
            let expected = shown && directory == METADATA;
            let is_top = ["", METADATA].contains(&&*directory);
            prop_assert!(iam_is_listed == expected || !is_top, "{seen}");
            prop_assert!(!seen.ends_with('\n'));
        }
        let mut names = listing.split('\n');
        for name in seen.split('\n').filter(|name| !name.is_empty() && *name != IAM) {
            prop_assert!(names.any(|known| known == name), "{name}");
        }
    }
}
