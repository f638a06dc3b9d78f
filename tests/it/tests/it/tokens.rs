//! Tokens of `IMDSv2`.

use bpf2iam_standins::imds;

use crate::{
    client::{INFO, ROLES, TOKEN},
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);

async fn start() -> World {
    start_with("optional").await
}

async fn start_with(mode: &str) -> World {
    Setup::default()
        .arg(format!("--imds-tokens={mode}"))
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

// From here on: the rows of the contract of the metadata service about tokens and methods, "imds.md" 1.1 and 1.2, each
// named by its case. What EC2 says where tokens are required and the request is wrong in another way as well is in 1.2
// under "Ordering recommendation". "IMDS disabled for instance" (1.1) has no test: nobody can do that to a pod.

/// Answers as they come, cut into status line, sorted fields and body. The time of day is left out.
fn parts(answer: &str) -> (&str, Vec<&str>, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap();
    let mut fields: Vec<_> = lines
        .map(|line| {
            if line.starts_with("Date: ") {
                "Date"
            } else {
                line
            }
        })
        .collect();
    fields.sort_unstable();
    (status, fields, body)
}

/// What EC2 sends with an answer that says nothing.
const EMPTY: [&str; 5] = [
    "Connection: close",
    "Content-Length: 0",
    "Content-Type: text/plain",
    "Date",
    "Server: EC2ws",
];

fn put(path: &str, headers: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}\r\n")
}

/// imds.md 1.1: "`PUT /latest/api/token`, TTL header `1..21600`", and "Body on PUT".
#[tokio::test]
async fn a_token_comes_as_ec2_sends_it() {
    let world = start().await;
    for (ttl, headers) in [
        // curl, CRT, C++, Rust, Java.
        ("1", "X-aws-ec2-metadata-token-ttl-seconds: 1\r\n"),
        (
            "21600",
            "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nAccept: */*\r\n",
        ),
        // Python, Node, Go, Ruby.
        (
            "300",
            "Content-Length: 0\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 300\r\n",
        ),
        (
            "600",
            "X-AWS-EC2-METADATA-TOKEN-TTL-SECONDS:600\r\nConnection: keep-alive\r\n",
        ),
    ] {
        let answer = world.client(A).say(&put(TOKEN, headers)).await;
        let (status, fields, token) = parts(&answer);
        assert_eq!(status, "HTTP/1.1 200 OK");
        let ttl = format!("X-Aws-Ec2-Metadata-Token-Ttl-Seconds: {ttl}");
        let expected = [
            "Connection: close",
            "Content-Length: 56",
            "Content-Type: text/plain",
            "Date",
            "Server: EC2ws",
            ttl.as_str(),
        ];
        assert_eq!(fields, expected);
        assert!(token.starts_with("AQA") && token.ends_with("=="), "{token}");
        assert_eq!(token.len(), 56, "{token:?}");
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
        assert!(token.bytes().all(legal), "{token}");
    }
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 4);
}

/// imds.md 1.1: "Body on PUT". None is sent; one that is does no harm.
#[tokio::test]
async fn a_wish_for_a_token_may_have_a_body() {
    let world = start().await;
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    for body in [
        "Content-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        let request = format!("PUT {TOKEN} HTTP/1.1\r\n{ttl}{body}");
        let answer = world.client(A).send(&request).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 56), "{request}");
    }
}

/// imds.md 1.1: "TTL header absent" and "TTL non-integer, 0, negative, >21600"; 1.3: "400", of which EC2's body is not
/// known: empty.
#[tokio::test]
async fn a_life_that_ec2_gives_to_no_token_is_a_bad_request() {
    let world = start().await;
    let wrong = [
        "",
        "0",
        "-1",
        "+1",
        "21601",
        "4294967297",
        "99999999999999999999",
        "1.5",
        "1e3",
        "0x10",
        "soon",
        "60s",
        "6 0",
        "60, 60",
    ];
    let mut wishes: Vec<_> = wrong
        .iter()
        .map(|ttl| format!("{TTL}: {ttl}\r\n"))
        .collect();
    wishes.push(String::new());
    for headers in &wishes {
        let answer = world.client(A).say(&put(TOKEN, headers)).await;
        let seen = parts(&answer);
        assert_eq!(
            seen,
            ("HTTP/1.1 400 Bad Request", EMPTY.to_vec(), ""),
            "{headers}"
        );
    }
    let refused = world.refusals("token_ttl").await;
    assert_eq!(usize::try_from(refused).unwrap(), wishes.len());
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 0);
}

/// imds.md 1.1: "`X-Forwarded-For` present on PUT".
#[tokio::test]
async fn nobody_gets_a_token_through_a_proxy() {
    let world = start().await;
    for forwarded in [
        "X-Forwarded-For: 10.0.0.1",
        "x-forwarded-for:",
        "X-FORWARDED-FOR: unknown",
    ] {
        let headers = format!("{TTL}: 60\r\n{forwarded}\r\n");
        let answer = world.client(A).say(&put(TOKEN, &headers)).await;
        let seen = parts(&answer);
        assert_eq!(
            seen,
            ("HTTP/1.1 403 Forbidden", EMPTY.to_vec(), ""),
            "{forwarded}"
        );
    }
    assert_eq!(world.refusals("forwarded").await, 3);
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 0);
}

/// imds.md 1.1: "`PUT /latest/api/token/` (trailing slash)" and "`PUT /<dated version>/api/token`". EC2 leaves the
/// connection open after the first of them; here each connection is for one request, and no client asks more after it.
#[tokio::test]
async fn tokens_are_at_one_path_only() {
    let world = start().await;
    let odd = [
        "/latest/api/token/",
        "/2021-03-23/api/token",
        "/2009-04-04/api/token",
        "/1.0/api/token",
        "/1.0/api/token/",
        "/latest/api/token//",
        "/latest/api/./token/.",
    ];
    for path in odd {
        let answer = world
            .client(A)
            .say(&put(path, &format!("{TTL}: 60\r\n")))
            .await;
        let seen = parts(&answer);
        assert_eq!(
            seen,
            ("HTTP/1.1 403 Forbidden", EMPTY.to_vec(), ""),
            "{path}"
        );
    }
    let refused = world.refusals("token_path").await;
    assert_eq!(usize::try_from(refused).unwrap(), odd.len());
    // A version that there is not has no token path.
    let answer = world
        .client(A)
        .request("PUT", "/2038-01-19/api/token", "")
        .await;
    assert!(answer.is_absent(), "{answer:?}");
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 0);
}

/// imds.md 1.1: "GET/POST/DELETE on `/latest/api/token`": also where tokens are required, and whatever else is wrong.
#[tokio::test]
async fn a_token_is_put_and_not_got() {
    for mode in ["optional", "required"] {
        let world = start_with(mode).await;
        let allow = [&["Allow: OPTIONS, PUT"], &EMPTY[..]].concat();
        for method in ["GET", "POST", "DELETE", "HEAD", "PATCH", "get", "put"] {
            for (path, headers) in [
                (TOKEN, ""),
                (TOKEN, "X-Forwarded-For: 10.0.0.1\r\n"),
                (TOKEN, "X-aws-ec2-metadata-token: junk\r\n"),
                ("/latest/api/token/", ""),
                ("/1.0/api/token", ""),
            ] {
                let request = format!("{method} {path} HTTP/1.1\r\n{headers}\r\n");
                let answer = world.client(A).say(&request).await;
                let seen = parts(&answer);
                assert_eq!(
                    seen,
                    ("HTTP/1.1 405 Not Allowed", allow.clone(), ""),
                    "{request}"
                );
            }
        }
        assert_eq!(world.refusals("token_method").await, 35);
    }
}

/// imds.md 1.2: "no token, v1 allowed", "valid token" and "Version in status line".
#[tokio::test]
async fn an_answer_tells_of_a_token_only_who_has_one() {
    let world = start().await;
    let token = world.client(A).token().await;
    for (path, status, kind) in [
        (ROLES, "HTTP/1.1 200 OK", "text/plain"),
        ("/latest/user-data", "HTTP/1.1 404 Not Found", "text/html"),
        (
            "/latest/meta-data/iam/security-credentials/other",
            "HTTP/1.1 404 Not Found",
            "text/html",
        ),
    ] {
        for version in ["1.1", "1.0"] {
            for with in [false, true] {
                let header = if with {
                    format!("X-aws-ec2-metadata-token: {token}\r\n")
                } else {
                    String::new()
                };
                let answer = world
                    .client(A)
                    .say(&format!("GET {path} HTTP/{version}\r\n{header}\r\n"))
                    .await;
                let (line, fields, _body) = parts(&answer);
                assert_eq!(line, status.replace("1.1", version), "{path}");
                assert!(
                    fields.contains(&format!("Content-Type: {kind}").as_str()),
                    "{fields:?}"
                );
                let told = fields
                    .iter()
                    .find_map(|field| field.strip_prefix("X-Aws-Ec2-Metadata-Token-Ttl-Seconds: "));
                let told = told.map(|left| left.parse::<u16>().unwrap());
                assert_eq!(told.is_some(), with, "{path}: {fields:?}");
                assert!(
                    told.is_none_or(|left| (21_590..=21_600).contains(&left)),
                    "{told:?}"
                );
                // HTTP/1.0 ends every connection without a word.
                assert_eq!(
                    fields.contains(&"Connection: close"),
                    version == "1.1",
                    "{fields:?}"
                );
            }
        }
    }
}

/// imds.md 1.2: "no token, v1 disabled" and "401 body variants".
#[tokio::test]
async fn where_tokens_are_required_nothing_is_told_to_who_has_none() {
    let world = start_with("required").await;
    let paths = [
        "/",
        "/latest/",
        ROLES,
        INFO,
        "/latest/user-data",
        "/nowhere",
        "/latest/meta-data/iam/security-credentials/a-role",
    ];
    for path in paths {
        let answer = world
            .client(A)
            .say(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        assert_eq!(
            parts(&answer),
            ("HTTP/1.1 401 Unauthorized", EMPTY.to_vec(), ""),
            "{path}"
        );
    }
    let refused = world.refusals("token_missing").await;
    assert_eq!(usize::try_from(refused).unwrap(), paths.len());
    let token = world.client(A).token().await;
    assert_eq!(
        world.client(A).get_with(ROLES, &token).await.seen(),
        (200, "a-role")
    );
    assert_eq!(world.client(A).get_with("/", &token).await.status, 200);
}

/// imds.md 1.2: "token present but malformed/unknown/expired/empty": even where none is needed. (Expired ones, and those
/// of other pods and agents, are above.)
#[tokio::test]
async fn a_bad_token_is_worse_than_none() {
    let world = start().await;
    let good = world.client(A).token().await;
    let cut = good.trim_end_matches('=');
    let mut changed = good.clone();
    changed.replace_range(
        30..31,
        if good.as_bytes()[30] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    for token in [
        "",
        "junk",
        cut,
        &format!("{good}="),
        &format!("{good},{good}"),
        &changed,
        &good.to_lowercase(),
    ] {
        for path in ["/", ROLES, "/latest/user-data", "/nowhere"] {
            let header = format!("X-aws-ec2-metadata-token: {token}\r\n");
            let answer = world
                .client(A)
                .say(&format!("GET {path} HTTP/1.1\r\n{header}\r\n"))
                .await;
            assert_eq!(
                parts(&answer),
                ("HTTP/1.1 401 Unauthorized", EMPTY.to_vec(), ""),
                "{path} {token:?}"
            );
        }
    }
    assert_eq!(world.client(A).get_with(ROLES, &good).await.status, 200);
}

/// imds.md 1.2: "token-bearing GET with `X-Forwarded-For`". Without a token the header says nothing.
#[tokio::test]
async fn a_token_that_came_through_a_proxy_is_not_taken() {
    let world = start().await;
    let token = world.client(A).token().await;
    for token in [token.as_str(), "junk", ""] {
        let headers = format!("X-aws-ec2-metadata-token: {token}\r\nX-Forwarded-For: 10.0.0.1\r\n");
        let answer = world
            .client(A)
            .say(&format!("GET {ROLES} HTTP/1.1\r\n{headers}\r\n"))
            .await;
        assert_eq!(
            parts(&answer),
            ("HTTP/1.1 403 Forbidden", EMPTY.to_vec(), ""),
            "{token}"
        );
    }
    assert_eq!(world.refusals("forwarded").await, 3);
    let forwarded = world
        .client(A)
        .request("GET", ROLES, "X-Forwarded-For: 10.0.0.1\r\n")
        .await;
    assert_eq!(forwarded.seen(), (200, "a-role"));
}

/// imds.md 1.2: "HEAD": like GET with no body.
#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = start().await;
    let token = world.client(A).token().await;
    for path in [ROLES, INFO, "/", "/latest/user-data"] {
        for header in [
            String::new(),
            format!("X-aws-ec2-metadata-token: {token}\r\n"),
        ] {
            let ask = async |method| {
                world
                    .client(A)
                    .say(&format!("{method} {path} HTTP/1.1\r\n{header}\r\n"))
                    .await
            };
            let (got, head) = (ask("GET").await, ask("HEAD").await);
            let ((got_line, got_fields, _), (line, fields, body)) = (parts(&got), parts(&head));
            assert_eq!((line, fields, body), (got_line, got_fields, ""), "{path}");
        }
    }
}

/// imds.md 1.2: "POST/DELETE on resources". What is not there is not there for any method.
#[tokio::test]
async fn nothing_that_is_there_can_be_changed() {
    let world = start().await;
    let allow = [&["Allow: GET, HEAD"], &EMPTY[..]].concat();
    for method in ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "get"] {
        for path in [
            ROLES,
            INFO,
            "/latest/meta-data/iam/security-credentials/a-role",
        ] {
            let answer = world
                .client(A)
                .say(&format!("{method} {path} HTTP/1.1\r\n\r\n"))
                .await;
            assert_eq!(
                parts(&answer),
                ("HTTP/1.1 405 Not Allowed", allow.clone(), ""),
                "{method} {path}"
            );
        }
        let answer = world
            .client(A)
            .request(method, "/latest/user-data", "")
            .await;
        assert!(answer.is_absent(), "{method}: {answer:?}");
    }
}

/// imds.md 1.2: "Ordering recommendation": method on the token path, its spelling, proxy, token, path.
#[tokio::test]
async fn of_several_faults_the_first_is_told() {
    let world = start_with("required").await;
    let (ttl, bad, forwarded) = (
        format!("{TTL}: 60\r\n"),
        "X-aws-ec2-metadata-token: junk\r\n",
        "X-Forwarded-For: 10.0.0.1\r\n",
    );
    for (method, path, headers, status) in [
        ("GET", "/latest/api/token/", forwarded.to_owned(), 405),
        ("PUT", "/latest/api/token/", forwarded.to_owned(), 403),
        ("PUT", "/1.0/api/token", String::new(), 403),
        ("PUT", TOKEN, forwarded.to_owned(), 403),
        ("PUT", TOKEN, format!("{ttl}{bad}"), 200),
        ("GET", "/nowhere", format!("{bad}{forwarded}"), 403),
        ("GET", "/nowhere", forwarded.to_owned(), 401),
        ("GET", "/nowhere", bad.to_owned(), 401),
        ("GET", "/latest/user-data", String::new(), 401),
        ("POST", ROLES, String::new(), 401),
        ("POST", ROLES, bad.to_owned(), 401),
    ] {
        let answer = world.client(A).request(method, path, &headers).await;
        assert_eq!(answer.status, status, "{method} {path} {headers}");
    }
}

/// imds.md 1.6: "rewrite TTL header to the client's own remaining TTL". Until a pod is known nobody can tell that it is
/// the node's, so its first token is one of ours; the real service gets the agent's own in its place.
#[tokio::test]
async fn a_token_from_before_its_pod_was_known_is_good_for_one_of_the_nodes() {
    let world = Setup::default()
        .arg(format!("--node-role-for={NAMESPACE}/node-agent"))
        .metadata(imds::Config::default())
        .start()
        .await;
    let client = world.client(B);
    let token = client.put_token(600).await;
    assert_eq!((token.status, token.header(TTL)), (200, "600"));
    let mut manifest = B.manifest(None);
    manifest["spec"]["serviceAccountName"] = "node-agent".into();
    world.write("node.yaml", &manifest.to_string());
    let list = async || client.get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    let answer = client.get_with(ROLES, &token.body).await;
    assert_eq!(answer.seen(), (200, "node-role"));
    let left: u16 = answer.header(TTL).parse().unwrap();
    assert!((500..=600).contains(&left), "{left}");
}
