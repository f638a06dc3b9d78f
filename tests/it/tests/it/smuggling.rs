//! Requests that two readers would take for two different ones. Whoever is between a pod and us, or believes it is, must
//! not be talked into handing over what was asked for in somebody else's name: such a request is refused as a whole, and
//! the connection is at its end. Which shapes there are, and what hyper alone would make of them, is in the tests of the
//! agent's `imds::head`; here they go over the wire, to the whole agent.

use std::time::Duration;

use bpf2iam::imds::head::HEAD;
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time};

use crate::{
    client::{Client, ROLES, read_text},
    pod::Pod,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);

/// What is hidden behind each of them: a request that would be answered, with keys.
const HIDDEN: &str =
    "GET /latest/meta-data/iam/security-credentials/a-role HTTP/1.1\r\nHost: x\r\n\r\n";

/// Fields that make a head ambiguous or wrong.
const SHAPES: [&str; 33] = [
    // Two lengths.
    "Content-Length: 0\r\nContent-Length: 79\r\n",
    "Content-Length: 79\r\nContent-Length: 0\r\n",
    "Content-Length: 79\r\nContent-Length: 79\r\n",
    "Content-Length: 79, 79\r\n",
    "Content-Length: 0, 79\r\n",
    // Length and chunks.
    "Content-Length: 79\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 79\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    // Lengths that are none.
    "Content-Length: +79\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 0x4f\r\n",
    "Content-Length: 79 0\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length:\r\n",
    // Encodings that one reader knows and another does not.
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    // Names that one reader trims.
    "Content-Length : 79\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    " Transfer-Encoding: chunked\r\n",
    ": chunked\r\n",
    // Lines that one reader joins, or takes apart.
    "X: y\r\n Content-Length: 79\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "X: y\nContent-Length: 79\r\n",
    "X: y\n\nGET /latest/ HTTP/1.1\r\n",
    "X: y\rContent-Length: 79\r\n",
    "X: y\0\r\n",
    // Which of them is asked?
    "Host: 169.254.169.254\r\nHost: sts.amazonaws.com\r\n",
    "no colon\r\n",
];

fn shaped(fields: &str) -> String {
    format!("GET {ROLES} HTTP/1.1\r\n{fields}\r\n{HIDDEN}")
}

async fn start() -> World {
    let world = Setup::default().pod(A, "a-role").start().await;
    let keys = world.client(A).keys("a-role").await;
    assert!(
        keys.access_key_id.starts_with("ASIA"),
        "there are keys to be had"
    );
    world
}

/// Each byte in a packet of its own, and long enough apart to be read so.
async fn byte_by_byte(client: Client, bytes: &str) -> String {
    let mut stream = client.connect().await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in bytes.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        time::sleep(Duration::from_millis(1)).await;
    }
    read_text(stream).await
}

/// One refusal, and nothing behind it.
#[track_caller]
fn assert_refused(answer: &str, status: &str, said: &str) {
    let said: String = said.escape_debug().take(200).collect();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
        "{said}: {answer:?}"
    );
    for field in [
        "Content-Length: 0",
        "Content-Type: text/plain",
        "Server: EC2ws",
        "Connection: close",
    ] {
        assert!(
            answer.lines().any(|line| line == field),
            "{said}: {answer:?}"
        );
    }
    assert!(answer.ends_with("\r\n\r\n"), "{said}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{said}: {answer:?}");
}

/// So many connections broke, each was told of, and nobody asked the service anything.
async fn assert_counted(world: &World, number: usize) {
    let labels = [("reason", "malformed")];
    let counted = world.metric("imds_broken_connections_total", &labels).await;
    assert_eq!(usize::try_from(counted).unwrap(), number);
    let told = world.log.records("a connection broke");
    assert_eq!(told.len(), number);
    assert!(
        told.iter().all(|record| record["pod"] == A.uid()),
        "{told:?}"
    );
    // The one of `start`.
    assert_eq!(world.log.requests(&A.full_name()).len(), 1);
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered() {
    let world = start().await;
    for fields in SHAPES {
        let request = shaped(fields);
        let answer = world.client(A).say(&request).await;
        assert_refused(&answer, "400 Bad Request", &request);
    }
    assert_counted(&world, SHAPES.len()).await;
}

#[tokio::test]
async fn it_makes_no_difference_in_what_pieces_it_comes() {
    let world = start().await;
    let mut attempts = JoinSet::new();
    for fields in SHAPES {
        let client = world.client(A);
        attempts.spawn(async move {
            let request = shaped(fields);
            (byte_by_byte(client, &request).await, request)
        });
    }
    while let Some(attempt) = attempts.join_next().await {
        let (answer, request) = attempt.unwrap();
        assert_refused(&answer, "400 Bad Request", &request);
    }
    assert_counted(&world, SHAPES.len()).await;
}

#[tokio::test]
async fn what_does_not_begin_as_a_request_is_refused() {
    let world = start().await;
    let beginnings = [
        // HTTP/0.9, HTTP/2, TLS, and versions that there are not.
        format!("GET {ROLES}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(),
        format!("GET {ROLES} HTTP/0.9\r\n\r\n"),
        format!("GET {ROLES} HTTP/3.0\r\n\r\n"),
        // White space that one reader passes over.
        format!("GET  {ROLES} HTTP/1.1\r\n\r\n"),
        format!("GET {ROLES}  HTTP/1.1\r\n\r\n"),
        format!("GET {ROLES} HTTP/1.1 \r\n\r\n"),
        format!("GET\t{ROLES}\tHTTP/1.1\r\n\r\n"),
        format!("GET /latest/user-data HTTP/1.1 {ROLES} HTTP/1.1\r\n\r\n"),
        format!("\r\n\r\nGET {ROLES} HTTP/1.1\r\n\r\n"),
        format!("\nGET {ROLES} HTTP/1.1\r\n\r\n"),
        format!("GET {ROLES} HTTP/1.1\n\n"),
        format!("GET {ROLES}\0 HTTP/1.1\r\n\r\n"),
        // Chunks, of a client of the time before them.
        format!("GET {ROLES} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ];
    for beginning in &beginnings {
        let request = format!("{beginning}{HIDDEN}");
        let answer = world.client(A).say(&request).await;
        assert_refused(&answer, "400 Bad Request", &request);
    }
    assert_counted(&world, beginnings.len()).await;
}

#[tokio::test]
async fn what_is_oversized_is_refused() {
    let world = start().await;
    let long = "x".repeat(HEAD);
    let oversized = [
        format!("GET {ROLES} HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!("GET {ROLES} HTTP/1.1\r\n{long}: x\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("{long} {ROLES} HTTP/1.1\r\n\r\n"),
        format!("GET {ROLES} HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101)),
    ];
    for request in &oversized {
        let answer = world.client(A).say(&format!("{request}{HIDDEN}")).await;
        assert_refused(&answer, "431 Request Header Fields Too Large", request);
    }
    assert_counted(&world, oversized.len()).await;
}

/// A request that is right is answered; what is hidden in its body or behind it is not.
#[tokio::test]
async fn what_is_hidden_in_a_body_or_behind_it_is_not_answered() {
    let world = start().await;
    let head =
        |fields: &str| format!("GET {ROLES} HTTP/1.1\r\nConnection: keep-alive\r\n{fields}\r\n");
    let size = HIDDEN.len();
    let requests = [
        head(""),
        head("Content-Length: 0\r\n"),
        head(&format!("Content-Length: {size}\r\n")),
        head(&format!("Content-Length: {}\r\n", size - 1)),
        head(&format!("Content-Length: {size}\r\n")) + HIDDEN,
        head("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + &format!("{size:x};x=y\r\n{HIDDEN}\r\n0\r\n\r\n"),
        head("Transfer-Encoding: chunked\r\n") + "0\r\nContent-Length: 79\r\n\r\n",
        head("Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    ];
    for request in &requests {
        let said = format!("{request}{HIDDEN}");
        for answer in [
            world.client(A).say(&said).await,
            byte_by_byte(world.client(A), &said).await,
        ] {
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n"),
                "{said}: {answer}"
            );
            assert!(answer.ends_with("\r\n\r\na-role"), "{said}: {answer}");
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{said}: {answer}");
            assert!(
                answer.contains("\r\nConnection: close\r\n"),
                "{said}: {answer}"
            );
        }
    }
    let lists = ("role_list".to_owned(), 200, "served".to_owned());
    let mut asked = world.log.requests(&A.full_name());
    // The one of `start`.
    assert_eq!(asked.remove(0).0, "role_credentials");
    assert_eq!(asked, vec![lists; requests.len() * 2]);
    assert_eq!(world.metric("imds_broken_connections_total", &[]).await, 0);
}

/// Chunks that one reader counts otherwise: the service says what it says of any broken body.
#[tokio::test]
async fn chunks_that_are_none_end_the_connection() {
    let world = start().await;
    let head = format!("GET {ROLES} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let bodies = [
        "0junk\r\n\r\n",
        "4f\n",
        "+4f\r\n",
        "0x4f\r\n",
        " 4f\r\n",
        "-1\r\n",
        "10000000000000000\r\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "0\r\n\rx",
    ];
    for body in bodies {
        let said = format!("{head}{body}{HIDDEN}");
        let answer = world.client(A).say(&said).await;
        assert_refused(&answer, "400 Bad Request", &said);
    }
    let count = u64::try_from(bodies.len()).unwrap();
    assert_eq!(world.refusals("body_broken").await, count);
}
