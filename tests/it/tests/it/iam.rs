//! The iam tree, as each pod has its own: rows of the contract of the metadata service, "imds.md" 1.5 and, of the list of
//! roles, 1.4. Each test names its rows.
//!
//! How long keys live and when new ones come, where ours are not EC2's, is in `lifetime`. That the tree is there in any
//! spelling and never the node's is in `tree`; which pod has which role, in `roles`.

use bpf2iam_standins::sts::{Code, Effect, Fault, Rule};

use crate::{
    client::{INFO, ROLES},
    pod::Pod,
    wait::{HELD, timed, until},
    world::{BASE_ARN, Setup, World},
};

const OWN: Pod = Pod::new(1);
const ABROAD: Pod = Pod::new(2);
const DENIED: Pod = Pod::new(3);
const WAITING: Pod = Pod::new(4);
const BARE: Pod = Pod::new(5);

/// Pods with a role here and in another account, with one that STS refuses and one about which it says nothing, and
/// without any.
async fn start() -> World {
    let silent = Rule::always(Effect::Fault(Fault::Hang));
    let world = Setup::default()
        .pod(OWN, "team/a-role")
        .pod(ABROAD, "arn:aws:iam::999999999999:role/path/other")
        .pod(DENIED, "denied")
        .pod(WAITING, "waiting")
        .pod(BARE, None)
        .rule(Rule::error(Code::AccessDenied).for_role(format!("{BASE_ARN}denied")))
        .rule(silent.for_role(format!("{BASE_ARN}waiting")))
        .start()
        .await;
    for (pod, status) in [(OWN, 200), (ABROAD, 200), (DENIED, 404), (BARE, 404)] {
        let list = async || world.client(pod).get(ROLES).await.status;
        until(list, |seen| *seen == status).await;
    }
    world
}

// imds.md 1.4: "List exactly one bare role name (last ARN segment)", "A newline after the role name breaks" some clients,
// "C++ SDK, .NET, aws-creds, AsyncAws, Python v4 and google-auth ask for the slashless list"
#[tokio::test]
async fn the_list_is_one_bare_name_and_nothing_behind_it() {
    let world = start().await;
    for (pod, name) in [(OWN, "a-role"), (ABROAD, "other")] {
        for path in [ROLES, ROLES.trim_end_matches('/')] {
            let list = world.client(pod).get(path).await;
            assert_eq!(list.seen(), (200, name), "{path}");
            assert_eq!(list.header("content-length"), name.len().to_string());
        }
    }
}

// imds.md 1.5: "Success, byte layout as captured", "Dates", "`Token` (not SessionToken). Keys exactly cased",
// "Do not add `AccountId`"; 1.3: "`LastUpdated` is load-bearing"
#[tokio::test]
async fn the_keys_are_laid_out_as_ec2_does_with_nothing_added() {
    let world = start().await;
    for (pod, name) in [(OWN, "a-role"), (ABROAD, "other")] {
        let answer = world.client(pod).get(&format!("{ROLES}{name}")).await;
        let keys = answer.keys();
        let seconds = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let fields = [
            ("Code", "Success"),
            ("LastUpdated", &seconds(keys.last_updated)),
            ("Type", "AWS-HMAC"),
            ("AccessKeyId", &keys.access_key_id),
            ("SecretAccessKey", &keys.secret_access_key),
            ("Token", &keys.token),
            ("Expiration", &seconds(keys.expiration)),
        ];
        assert_eq!(answer.body, laid_out(&fields));
        assert_eq!(answer.header("content-type"), "text/plain");
        let issued = world.sts().issued(&keys.access_key_id).unwrap();
        assert!(keys.end_as(issued.expires), "{keys:?}");
        let age = jiff::Timestamp::now().duration_since(keys.last_updated);
        assert!((0..=60).contains(&age.as_secs()), "{keys:?}");
    }
}

/// As EC2 writes JSON.
fn laid_out(fields: &[(&str, &str)]) -> String {
    let lines: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("  \"{key}\" : \"{value}\""))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

// imds.md 1.5: "Errors come as HTTP 200 with `Code` != Success plus `Message`, `LastUpdated`", "Hence the rule: where
// there are no keys to give and that is known, refuse at the role list too (404 denied, 503 still waiting)";
// 1.3: "503 (ours)"
#[tokio::test]
async fn a_role_without_keys_is_not_listed_and_only_a_refusal_is_explained() {
    let world = start().await;
    let refused = world.client(DENIED);
    let list = refused.get(ROLES).await;
    assert!(list.is_absent(), "{list:?}");
    let answer = refused.get(&format!("{ROLES}denied")).await;
    let updated = answer.json()["LastUpdated"].as_str().unwrap().to_owned();
    let expected = [
        ("Code", "AssumeRoleUnauthorizedAccess"),
        ("Message", "The role denied cannot be assumed for this pod."),
        ("LastUpdated", &updated),
    ];
    assert_eq!(answer.seen(), (200, &*laid_out(&expected)));
    assert_eq!(updated.len(), "2026-01-02T03:04:05Z".len(), "{updated}");

    let waiting = world.client(WAITING);
    let keys = format!("{ROLES}waiting");
    let both = async { tokio::join!(waiting.get(ROLES), waiting.get(&keys)) };
    let ((list, keys), waited) = timed(both).await;
    for answer in [list, keys] {
        assert_eq!(answer.seen(), (503, ""));
        assert_eq!(answer.header("content-type"), "text/plain");
    }
    assert!(HELD.contains(&waited), "{waited:?}");
}

// imds.md 1.5: "`iam/info`": synthesised "from the POD's role account/partition, never proxied"
#[tokio::test]
async fn the_instance_profile_is_that_of_the_pods_role_also_without_keys() {
    let world = start().await;
    for (pod, profile) in [
        (OWN, "123456789012:instance-profile/a-role"),
        (ABROAD, "999999999999:instance-profile/other"),
        (DENIED, "123456789012:instance-profile/denied"),
        (WAITING, "123456789012:instance-profile/waiting"),
    ] {
        let answer = world.client(pod).get(INFO).await;
        let info = answer.json();
        let text = |key: &str| info[key].as_str().unwrap().to_owned();
        let expected = [
            ("Code", "Success"),
            ("LastUpdated", &*text("LastUpdated")),
            ("InstanceProfileArn", &format!("arn:aws:iam::{profile}")),
            ("InstanceProfileId", &text("InstanceProfileId")),
        ];
        assert_eq!(answer.seen(), (200, &*laid_out(&expected)));
        assert!(text("InstanceProfileId").starts_with("AIPA"), "{info}");
    }
}

// imds.md 1.5: "No role: list -> 404 page; same for `iam/info`. aws-creds and minio-js then request the page as a role
// name: 404"
#[tokio::test]
async fn where_there_is_no_role_even_the_page_that_says_so_is_none() {
    let world = start().await;
    let page = format!("{ROLES}%3C?xml%20version=%221.0%22//W3C//DTD%20XHTML");
    let encoded = format!("{ROLES}%3C%3Fxml%20version%3D%221.0%22%20encoding%3D%22iso%22%3F%3E");
    for path in [ROLES, INFO, &page, &encoded, "/latest/meta-data/iam/"] {
        let answer = world.client(BARE).get(path).await;
        assert!(answer.is_absent(), "{path}: {answer:?}");
    }
    for junk in [&page, &encoded] {
        let answer = world.client(OWN).get(junk).await;
        assert!(answer.is_absent(), "{junk}: {answer:?}");
    }
    let records = world.log.records("request");
    assert!(!records.is_empty());
    for record in records {
        assert!(!record.to_string().contains("xml"), "{record}");
    }
}
