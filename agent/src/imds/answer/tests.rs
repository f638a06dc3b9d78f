use std::sync::Arc;

use crate::creds::{Derived, Secret};

use super::*;

const ARN: &str = "arn:aws-cn:iam::123456789012:role/team/my-role";
/// A fraction of a second must not be seen by anybody.
const ISSUED: &str = "2026-01-02T03:04:05.678Z";
const EXPIRES: &str = "2026-01-02T04:04:05.999Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn role() -> RoleArn {
    ARN.parse().unwrap()
}

fn ready() -> State {
    State::Ready(Arc::new(Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalr/XUtnFEMI+K7"),
        session_token: Secret::new("IQoJb3JpZ2luX2VjE=="),
        issued: time(ISSUED),
        expires: time(EXPIRES),
        document: Derived::default(),
    }))
}

fn failed(error: SourceError) -> State {
    State::Failed(Arc::new(error))
}

fn message() -> String {
    "User: arn:aws:sts::1:assumed-role/node/i-0abc is not authorized".to_owned()
}

fn denied() -> State {
    failed(SourceError::Denied {
        role: role(),
        code: "AccessDenied".to_owned(),
        message: message(),
    })
}

fn invalid() -> State {
    failed(SourceError::Invalid {
        role: role(),
        code: "ValidationError".to_owned(),
        message: message(),
    })
}

fn throttled() -> State {
    failed(SourceError::Throttled { message: message() })
}

fn unavailable() -> State {
    failed(SourceError::Unavailable {
        role: role(),
        message: message(),
    })
}

fn named(name: &str) -> Resource {
    Resource::RoleCredentials(name.to_owned())
}

fn with(resource: &Resource, state: &State, now: &str) -> Answer {
    answer(resource, Standing::Role(&role(), state), time(now))
}

#[test]
fn the_role_list_is_the_bare_name() {
    let list = with(&Resource::RoleList, &ready(), ISSUED);
    assert_eq!(
        list,
        Answer::served(Bytes::from_static(b"my-role"), time(ISSUED))
    );
}

#[test]
fn the_credentials_are_laid_out_as_ec2_does() {
    let expected = r#"{
  "Code" : "Success",
  "LastUpdated" : "2026-01-02T03:04:05Z",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "ASIAEXAMPLE",
  "SecretAccessKey" : "wJalr/XUtnFEMI+K7",
  "Token" : "IQoJb3JpZ2luX2VjE==",
  "Expiration" : "2026-01-02T04:04:05Z"
}"#;
    assert_eq!(
        with(&named("my-role"), &ready(), ISSUED),
        Answer::served(Bytes::from_static(expected.as_bytes()), time(ISSUED))
    );
}

#[test]
fn the_instance_profile_is_made_up_for_the_pods_role() {
    let expected = r#"{
  "Code" : "Success",
  "LastUpdated" : "2026-01-02T03:04:05Z",
  "InstanceProfileArn" : "arn:aws-cn:iam::123456789012:instance-profile/my-role",
  "InstanceProfileId" : "AIPA2AML6NQ3FCWOZ2LVF"
}"#;
    let expected = Bytes::from_static(expected.as_bytes());
    // It needs no keys, and without them it is of now.
    let later = "2026-01-02T03:30:00.5Z";
    assert_eq!(
        with(&Resource::IamInfo, &ready(), later),
        Answer::served(expected.clone(), time(ISSUED))
    );
    for state in [State::Fetching, denied(), unavailable()] {
        assert_eq!(
            with(&Resource::IamInfo, &state, ISSUED),
            Answer::served(expected.clone(), time(ISSUED)),
            "{state:?}"
        );
    }
}

#[test]
fn a_profiles_id_looks_like_iams_and_belongs_to_the_arn() {
    let id = profile_id("arn:aws:iam::123456789012:instance-profile/a");
    assert_eq!(id.len(), 21);
    assert!(id.starts_with("AIPA"), "{id}");
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        "{id}"
    );
    assert_eq!(
        id,
        profile_id("arn:aws:iam::123456789012:instance-profile/a")
    );
    assert_ne!(
        id,
        profile_id("arn:aws:iam::123456789013:instance-profile/a")
    );
}

#[test]
fn a_role_that_sts_refuses_is_not_listed_and_the_credentials_say_why() {
    for (state, code) in [
        (denied(), "AssumeRoleUnauthorizedAccess"),
        (invalid(), "Failed"), // no trust policy is to blame
    ] {
        let expected = format!(
            "{{\n  \"Code\" : \"{code}\",\n  \
             \"Message\" : \"The role my-role cannot be assumed for this pod.\",\n  \
             \"LastUpdated\" : \"2026-01-02T03:04:05Z\"\n}}"
        );
        assert_eq!(
            with(&Resource::RoleList, &state, ISSUED),
            Answer::refused(Outcome::Denied)
        );
        assert_eq!(
            with(&named("my-role"), &state, ISSUED),
            Answer::explained(Outcome::Denied, expected.into(), time(ISSUED))
        );
    }
}

#[test]
fn without_keys_that_may_still_come_everything_says_later() {
    for (state, why) in [
        (State::Fetching, Outcome::Fetching),
        (throttled(), Outcome::Unavailable),
        (unavailable(), Outcome::Unavailable),
    ] {
        for resource in [Resource::RoleList, named("my-role")] {
            let got = with(&resource, &state, ISSUED);
            assert_eq!(got, Answer::refused(why), "{resource:?} {state:?}");
        }
    }
}

#[test]
fn keys_that_are_about_to_end_are_given_to_nobody() {
    for (now, why) in [
        ("2026-01-02T04:03:50.999Z", Outcome::Served),
        ("2026-01-02T04:03:51Z", Outcome::Expiring),
        ("2026-01-02T04:04:05.999Z", Outcome::Expiring),
        ("2027-01-01T00:00:00Z", Outcome::Expiring),
    ] {
        for resource in [Resource::RoleList, named("my-role")] {
            let got = with(&resource, &ready(), now);
            assert_eq!(got.outcome, why, "{resource:?} {now}");
        }
    }
}

#[test]
fn only_the_role_that_is_listed_has_credentials() {
    for name in [
        "other",
        "my-rol",
        "my-role2",
        "My-Role",
        "my-role ",
        "team/my-role",
        ARN,
        "my%2Drole",
        "",
    ] {
        for state in [ready(), denied(), State::Fetching] {
            let got = with(&named(name), &state, ISSUED);
            assert_eq!(got, Answer::refused(Outcome::OtherRole), "{name} {state:?}");
        }
    }
}

#[test]
fn who_has_no_role_finds_nothing_in_the_whole_tree() {
    for (standing, why) in [
        (Standing::Nothing, Outcome::NoRole),
        (Standing::Invalid, Outcome::InvalidRole),
        (Standing::Forbidden, Outcome::Forbidden),
        (Standing::Unknown, Outcome::PodUnknown),
    ] {
        for resource in [Resource::RoleList, named("my-role"), Resource::IamInfo] {
            let got = answer(&resource, standing, time(ISSUED));
            assert_eq!(got, Answer::refused(why), "{resource:?}");
        }
    }
}

/// kube2iam, where there is a base ARN and no default role.
#[test]
fn an_empty_list_of_roles_is_all_that_the_nameless_get() {
    let list = answer(&Resource::RoleList, Standing::Nameless, time(ISSUED));
    assert_eq!(list, Answer::served(Bytes::new(), time(ISSUED)));
    for resource in [named("my-role"), named(""), Resource::IamInfo] {
        let got = answer(&resource, Standing::Nameless, time(ISSUED));
        assert_eq!(got, Answer::refused(Outcome::NoRole), "{resource:?}");
    }
}

#[test]
fn what_does_not_exist_depends_on_nothing() {
    let (role, state) = (role(), ready());
    for standing in [
        Standing::Unknown,
        Standing::Nothing,
        Standing::Nameless,
        Standing::Invalid,
        Standing::Forbidden,
        Standing::Role(&role, &state),
    ] {
        let got = answer(&Resource::Absent, standing, time(ISSUED));
        assert_eq!(got, Answer::refused(Outcome::Path));
    }
}

#[test]
fn waiting_ends_with_keys_or_with_a_refusal() {
    for (state, expected) in [
        (ready(), true),
        (denied(), true),
        (invalid(), true),
        (State::Fetching, false),
        (throttled(), false),
        (unavailable(), false),
    ] {
        assert_eq!(settled(&state, time(ISSUED)), expected, "{state:?}");
    }
    assert!(!settled(&ready(), time(EXPIRES)));
}

/// STS's words are not for pods: they name the node's role and instance.
#[tokio::test]
async fn nothing_that_sts_said_is_in_any_answer() {
    use http_body_util::BodyExt as _;
    for state in [denied(), invalid(), throttled(), unavailable()] {
        for resource in [Resource::RoleList, named("my-role"), Resource::IamInfo] {
            let response = with(&resource, &state, ISSUED).into_response();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(
                !text.contains("not authorized") && !text.contains("i-0abc"),
                "{text}"
            );
        }
    }
}
