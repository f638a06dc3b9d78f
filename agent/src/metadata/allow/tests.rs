use proptest::prelude::*;

use super::*;
use crate::metadata::{Iam, LASTING, filtered};

fn allow(entries: &[&str]) -> Allow {
    Allow::parse(entries.iter().copied()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(entry: &str) -> String {
    Allow::parse([entry]).unwrap_err().to_string()
}

/// What is wrong with an entry of a namespace.
fn wrong(entry: &str) -> Option<String> {
    let (allowed, wrong) = Allow::of_namespace([entry]);
    assert_eq!(allowed.is_empty(), wrong.len() == 1, "{entry}");
    wrong.first().map(ToString::to_string)
}

#[test]
fn nobody_can_allow_by_name_what_no_pod_gets() {
    for entry in [
        "user-data",
        "/latest/user-data",
        "2009-04-04/user-data/",
        "user-data/**",
        "meta-data/iam",
        "meta-data/iam/**",
        "meta-data/iam/info",
        "//latest//meta-data//iam/security-credentials/*",
        "meta-data/iam/security-credentials-extended/**",
        "meta-data/identity-credentials/**",
        "meta-data/identity-credentials/*/info",
        "api/token",
        "api/**",
    ] {
        let told = format!(
            "\"{entry}\": no pod gets it, whoever allows it: leave it out, or see --node-role-for"
        );
        assert_eq!(refusal(entry), told);
        assert_eq!(wrong(entry), Some(told));
    }
}

#[test]
fn what_cannot_be_there_is_refused() {
    for entry in [
        "network/**",
        "/latest/placement/region",
        "meta-data/instance-id/x",
        "Meta-Data/*",
        "*",
        "user*",
        "*/",
        "u*/**",
        "latest*/meta-data/mac",
    ] {
        let told = format!(
            "\"{entry}\": there is nothing of the kind; paths begin with meta-data/ or dynamic/"
        );
        assert_eq!(refusal(entry), told);
        assert_eq!(wrong(entry), Some(told));
    }
}

#[test]
fn a_directory_that_every_pod_may_list_is_allowed_by_what_is_in_it() {
    for entry in ["meta-data", "/latest/meta-data/placement/", "dynamic"] {
        let told = format!("\"{entry}\": every pod may list it; write what is to be read in it, ");
        assert!(refusal(entry).starts_with(&told), "{}", refusal(entry));
        assert_eq!(wrong(entry), Some(refusal(entry)));
    }
    for entry in [
        "meta-data/**",
        "meta-data/*",
        "meta-data/placement/**",
        "meta-data/placement/group-name",
        "meta-data/network",
    ] {
        assert_eq!(wrong(entry), None, "{entry}");
    }
}

#[test]
fn wildcards_are_seen_to_cover_proofs_that_nobody_named() {
    for (entry, covered) in [
        ("**", true),
        ("dynamic/**", true),
        ("dynamic/*/p*", true),
        ("dynamic/instance-identity/pkcs7", false),
        ("dynamic/instance-identity/signature/**", false),
        ("dynamic/instance-identity/d*", false),
        ("meta-data/**", false),
    ] {
        assert_eq!(allow(&[entry]).covers_proofs(), covered, "{entry}");
    }
}

#[test]
fn only_the_operator_allows_proofs_of_who_the_node_is() {
    for entry in [
        "dynamic/instance-identity/pkcs7",
        "/latest/dynamic/instance-identity/rsa2048/",
        "dynamic/instance-identity/signature/**",
    ] {
        assert!(Allow::parse([entry]).is_ok(), "{entry}");
        let told = wrong(entry).unwrap();
        assert!(
            told.ends_with(
                "only the operator can allow a proof of who the node is, with --allow-path"
            ),
            "{told}"
        );
    }
}

#[test]
fn what_is_no_pattern_is_refused_with_its_entry() {
    for (entry, told) in [
        ("", "\"\": it names no path; "),
        ("/latest", "\"/latest\": it names no path; "),
        (
            "meta-data/%69am/**",
            "\"meta-data/%69am/**\": \"%\" is in no path of the metadata service; ",
        ),
        (
            "meta-data/x**",
            "\"meta-data/x**\": it has the segment \"x**\"; ",
        ),
        (
            "a\nb",
            "\"a\\nb\": \"\\n\" is in no path of the metadata service; ",
        ),
    ] {
        assert!(
            refusal(entry).starts_with(told),
            "{entry:?}: {}",
            refusal(entry)
        );
        assert_eq!(wrong(entry).unwrap(), refusal(entry));
    }
    let long = "x/".repeat(5000);
    assert!(refusal(&long).len() < 200, "{}", refusal(&long));
}

#[test]
fn wildcards_that_cover_what_no_pod_gets_are_kept_and_do_not_mean_it() {
    let everything = allow(&[
        "**",
        "*/iam/**",
        "meta-data/iam*",
        "meta-data/i*/**",
        "**/user-data",
        "*/user*",
    ]);
    let view = View {
        operator: &everything,
        namespace: &everything,
    };
    for path in [
        "user-data",
        "user-data/x",
        "meta-data/iam",
        "meta-data/iam/info",
        "meta-data/iam/security-credentials/",
        "meta-data/iam/security-credentials/node",
        "meta-data/identity-credentials/ec2/info",
        "api/token",
    ] {
        assert!(!view.may_read(path) && !view.may_list(path), "{path}");
    }
    assert!(view.may_read("meta-data/iamx"));
}

#[test]
fn a_view_is_what_all_see_and_what_is_allowed() {
    let operator = allow(&["meta-data/network/**", "dynamic/instance-identity/pkcs7"]);
    let namespace = allow(&[
        "meta-data/tags/instance/team",
        "dynamic/**",
        "meta-data/spot/*",
    ]);
    let view = View {
        operator: &operator,
        namespace: &namespace,
    };
    for (path, read, list) in [
        ("", false, true),
        ("meta-data", false, true),
        ("meta-data/placement", false, true),
        ("meta-data/placement/region", true, false),
        ("dynamic/instance-identity", false, true),
        ("dynamic/instance-identity/document", true, false),
        ("meta-data/network", true, true),
        ("meta-data/network/interfaces/macs/0a:ff/vpc-id", true, true),
        ("meta-data/tags", false, true),
        ("meta-data/tags/instance", false, true),
        ("meta-data/tags/instance/team", true, false),
        ("meta-data/tags/instance/owner", false, false),
        ("meta-data/spot", false, true),
        ("meta-data/spot/instance-action", true, false),
        ("meta-data/mac", false, false),
        ("dynamic/fws/instance-monitoring", true, true),
        // Of the proofs, a namespace gets what the operator allows and no more.
        ("dynamic/instance-identity/pkcs7", true, false),
        ("dynamic/instance-identity/signature", false, false),
        ("elsewhere", false, false),
    ] {
        let seen = (view.may_read(path), view.may_list(path));
        assert_eq!(seen, (read, list), "{path:?}");
    }
}

#[test]
fn what_every_pod_may_read_needs_no_entry() {
    let nothing = Allow::default();
    let view = View {
        operator: &nothing,
        namespace: &nothing,
    };
    for path in LASTING {
        assert!(view.may_read(path), "{path}");
    }
    for path in [
        "meta-data/mac",
        "meta-data/network",
        "user-data",
        "dynamic/fws",
    ] {
        assert!(!view.may_read(path) && !view.may_list(path), "{path}");
    }
}

#[test]
fn it_is_printed_in_one_form() {
    let written = allow(&["/latest/meta-data/network/**", "meta-data/mac/"]);
    assert_eq!(written.to_string(), "meta-data/network/**, meta-data/mac");
    assert_eq!(Allow::default().to_string(), "");
    assert_eq!(allow(&["meta-data/network/**", "meta-data/mac"]), written);
}

#[test]
fn so_many_entries_count() {
    let many = ["meta-data/mac"; MOST + 5];
    assert!(Allow::parse(many.into_iter().take(MOST)).is_ok());
    let told = "\"meta-data/mac\": only 32 entries count; write wildcards";
    assert_eq!(Allow::parse(many).unwrap_err().to_string(), told);
    let (allowed, wrong) = Allow::of_namespace(many);
    assert_eq!(allowed, allow(&many[..MOST]));
    assert_eq!(wrong.len(), 1);
}

prop_compose! {
    /// Entries that like to cover what no pod gets; those that cannot be meant are left out.
    fn any_allow()(entries in prop::collection::vec(
        "(\\*\\*|\\*|meta-data|dynamic|user-data|[*a-z-]{1,6})(/(\\*\\*|\\*|i[am*]{1,3}|info|security-credentials|[a-z*]{1,8})){0,4}",
        0..8,
    )) -> Allow {
        Allow::of_namespace(entries.iter().map(String::as_str)).0
    }
}

const SECRETS: [&str; 4] = [
    "meta-data/iam",
    "meta-data/identity-credentials",
    "user-data",
    "api",
];

proptest! {
    #[test]
    fn no_allowance_whatever_shows_what_no_pod_gets(
        operator in any_allow(),
        namespace in any_allow(),
        secret in prop::sample::select(&SECRETS[..]),
        below in "(/(info|security-credentials|ec2|[ -~]{1,8}|\\PC{1,4})){0,3}/?",
    ) {
        let view = View { operator: &operator, namespace: &namespace };
        let path = format!("{secret}{below}");
        prop_assert!(!view.may_read(&path) && !view.may_list(&path), "{path}");
        let (directory, name) = secret.rsplit_once('/').unwrap_or(("", secret));
        for entry in [name.to_owned(), format!("{name}/")] {
            let listing = format!("aaa\n{entry}\nzzz");
            let shown = filtered(directory, &listing, &view, Iam::Hidden).unwrap_or_default();
            prop_assert!(!shown.lines().any(|line| line == entry), "{shown}");
        }
    }

    #[test]
    fn a_namespace_alone_never_reads_a_proof(namespace in any_allow(), proof in "(pkcs7|rsa2048|signature)(/x)?") {
        let view = View { operator: &Allow::default(), namespace: &namespace };
        let path = format!("dynamic/instance-identity/{proof}");
        prop_assert!(!view.may_read(&path) && !view.may_list(&path));
    }

    #[test]
    fn what_may_be_read_is_on_the_listings_above_it(operator in any_allow(), path in "[a-z-]{1,6}(/[a-z-]{1,6}){0,4}") {
        let view = View { operator: &operator, namespace: &Allow::default() };
        if view.may_read(&path) {
            let mut above = path.as_str();
            while let Some((directory, _)) = above.rsplit_once('/') {
                prop_assert!(view.may_list(directory), "{directory} of {path}");
                above = directory;
            }
        }
    }
}
