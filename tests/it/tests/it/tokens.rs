//! Tokens of `IMDSv2`.

use crate::{
    client::{ROLES, TOKEN},
    pod::Pod,
    wait::until,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);

async fn start() -> World {
    Setup::default()
        .pod(A, "a-role")
        .pod(B, "b-role")
        .start()
        .await
}

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

#[tokio::test]
async fn a_token_lives_as_long_as_was_asked_and_tells_what_is_left() {
    let world = start().await;
    let client = world.client(A);
    let answer = client.put_token(600).await;
    assert_eq!(answer.header(TTL), "600");
    assert_eq!(answer.body.len(), 56, "{answer:?}");
    for (path, status) in [(ROLES, 200), ("/latest/user-data", 404)] {
        let read = client.get_with(path, &answer.body).await;
        let left: u16 = read.header(TTL).parse().unwrap();
        assert_eq!(read.status, status, "{path}");
        assert!((590..=600).contains(&left), "{path}: {left}");
    }
    assert_eq!(
        client.get(ROLES).await.header(TTL),
        "",
        "no token, nothing left of it"
    );
}

#[tokio::test]
async fn a_token_is_good_for_its_own_pod_only() {
    let world = start().await;
    let token = world.client(A).token().await;
    assert_eq!(
        world.client(A).get_with(ROLES, &token).await.seen(),
        (200, "a-role")
    );
    for path in [
        ROLES,
        "/latest/meta-data/iam/security-credentials/a-role",
        "/",
    ] {
        let answer = world.client(B).get_with(path, &token).await;
        assert_eq!(answer.seen(), (401, ""), "{path}");
    }
    assert_eq!(world.refusals("token_forged").await, 3);
    let requests = world.log.requests(&B.full_name());
    let refused = ("role_list".to_owned(), 401, "token_forged".to_owned());
    assert_eq!(requests.first(), Some(&refused), "{requests:?}");
}

#[tokio::test]
async fn a_token_of_another_agent_or_none_at_all_is_refused() {
    let world = start().await;
    let foreign = start().await.client(A).token().await;
    for (token, reason) in [
        (foreign.as_str(), "token_forged"),
        ("", "token_malformed"),
        ("undefined", "token_malformed"),
        (
            "AQAEAOyOPdF6vHZ0WPJZsM2iUwoqWqYtqwqhS_F3KzhF0yGO5kYyjA==",
            "token_forged",
        ),
    ] {
        let before = world.refusals(reason).await;
        let answer = world.client(A).get_with(ROLES, token).await;
        assert_eq!(answer.seen(), (401, ""), "{token:?}");
        assert_eq!(world.refusals(reason).await - before, 1, "{token:?}");
    }
}

#[tokio::test]
async fn a_token_that_has_had_its_time_is_refused() {
    let world = start().await;
    let client = world.client(A);
    let token = client.put_token(1).await.body;
    let ask = async || client.get_with(ROLES, &token).await.status;
    let status = until(ask, |status| *status != 200).await;
    assert_eq!(status, 401);
    assert_eq!(world.refusals("token_expired").await, 1);
}

#[tokio::test]
async fn what_is_no_right_wish_for_a_token_gets_none() {
    let world = start().await;
    let client = world.client(A);
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds";
    let good = format!("{ttl}: 60\r\n");
    let dated = "/2021-03-23/api/token";
    let slash = "/latest/api/token/";
    for (method, path, headers, status, reason) in [
        ("PUT", TOKEN, String::new(), 400, "token_ttl"),
        ("PUT", TOKEN, format!("{ttl}: 0\r\n"), 400, "token_ttl"),
        ("PUT", TOKEN, format!("{ttl}: 21601\r\n"), 400, "token_ttl"),
        ("PUT", TOKEN, format!("{ttl}: soon\r\n"), 400, "token_ttl"),
        (
            "PUT",
            TOKEN,
            format!("{good}X-Forwarded-For: 10.0.0.1\r\n"),
            403,
            "forwarded",
        ),
        ("PUT", slash, good.clone(), 403, "token_path"),
        ("PUT", dated, good.clone(), 403, "token_path"),
        ("GET", TOKEN, String::new(), 405, "token_method"),
        ("POST", TOKEN, good.clone(), 405, "token_method"),
    ] {
        let before = world.refusals(reason).await;
        let answer = client.request(method, path, &headers).await;
        assert_eq!(answer.seen(), (status, ""), "{method} {path} {headers}");
        assert_eq!(
            world.refusals(reason).await - before,
            1,
            "{method} {path} {headers}"
        );
    }
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 0);
}
