//! Clients that misbehave harm themselves only.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::{ROLES, TOKEN, read},
    pod::Pod,
    wait::{AT_ONCE, HELD, leap, soon, timed, until},
    world::{Setup, World},
};

/// Who misbehaves.
const A: Pod = Pod::new(1);
/// Who does not.
const B: Pod = Pod::new(2);

async fn start() -> World {
    let world = Setup::default()
        .pod(A, "a-role")
        .pod(B, "b-role")
        .start()
        .await;
    assert_served(&world, B, "b-role").await;
    world
}

async fn assert_served(world: &World, pod: Pod, role: &str) {
    let (list, took) = timed(world.client(pod).get(ROLES)).await;
    assert_eq!(list.seen(), (200, role));
    assert!(took < AT_ONCE, "{took:?}");
}

async fn open(world: &World) -> u64 {
    world.metric("imds_open_connections", &[]).await
}

async fn broken(world: &World, reason: &str) -> u64 {
    let labels = [("reason", reason)];
    world.metric("imds_broken_connections_total", &labels).await
}

#[tokio::test]
async fn whoever_says_nothing_or_not_all_is_let_go_after_a_while() {
    let world = start().await;
    let mut streams = Vec::new();
    for said in [
        "",
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: ",
    ] {
        let mut stream = world.client(A).connect().await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    until(async || open(&world).await, |open| *open == 4).await;
    assert_served(&world, B, "b-role").await;
    assert_served(&world, A, "a-role").await;
    leap(Duration::from_secs(5)).await;
    for stream in streams {
        let (answer, took) = timed(read(stream)).await;
        assert!(answer.is_none_or(|answer| answer.status == 408));
        assert!(took < AT_ONCE, "{took:?}");
    }
    until(async || open(&world).await, |open| *open == 0).await;
    assert_eq!(broken(&world, "timeout").await, 4);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_longer_than_anything_else() {
    let world = start().await;
    let head = format!("GET {ROLES} HTTP/1.1\r\nContent-Length: 1000\r\n\r\n half of it");
    let (answer, waited) = timed(world.client(A).send(&head)).await;
    assert_eq!(answer.unwrap().seen(), (400, ""));
    assert!(HELD.contains(&waited), "{waited:?}");
    assert_eq!(world.refusals("body_broken").await, 1);
    let requests = world.log.requests(&A.full_name());
    let refused = ("role_list".to_owned(), 400, "body_broken".to_owned());
    assert_eq!(requests, [refused]);
    assert_served(&world, B, "b-role").await;
}

#[tokio::test]
async fn garbage_is_no_request() {
    let world = start().await;
    let garbage: [&[u8]; 8] = [
        b"\r\n\r\n\r\nhello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /latest/ HTTP/9.9\r\n\r\n",
        b"GET /latest/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /latest/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /latest/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for said in garbage {
        let mut stream = world.client(A).connect().await.unwrap();
        stream.write_all(said).await.unwrap();
        let answer = read(stream).await.unwrap();
        assert_eq!(answer.seen(), (400, ""), "{}", said.escape_ascii());
    }
    assert_eq!(broken(&world, "malformed").await, 8);
    assert_eq!(world.log.requests(&A.full_name()), []);
    assert_served(&world, B, "b-role").await;
}

/// Sends `head`, and then `part` again and again, until nobody listens any more. Says how much that was, and what came
/// back.
async fn flood(stream: TcpStream, head: &str, part: &[u8]) -> (usize, String) {
    const ENOUGH: usize = 64 << 20;
    let (mut from, mut to) = stream.into_split();
    let head = head.to_owned().into_bytes();
    let part = part.to_owned();
    let sending = tokio::spawn(async move {
        let mut sent = head.len();
        let mut open = to.write_all(&head).await.is_ok();
        while open && sent < ENOUGH {
            open = to.write_all(&part).await.is_ok();
            sent += part.len();
        }
        sent
    });
    let mut answer = Vec::new();
    // It may be reset in the end; what came before is the answer.
    let _whole = soon(from.read_to_end(&mut answer)).await.is_ok();
    let sent = soon(sending).await.unwrap();
    assert!(sent < ENOUGH, "nobody ever stopped it");
    (sent, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn an_endless_head_comes_to_an_end() {
    let world = start().await;
    for (head, part) in [
        ("GET / HTTP/1.1\r\n", &b"X-Header: and another one\r\n"[..]),
        ("GET / HTTP/1.1\r\nX: ", b"one that never ends "),
        ("GET /", b"path/"),
    ] {
        let stream = world.client(A).connect().await.unwrap();
        let (_sent, answer) = flood(stream, head, &part.repeat(100)).await;
        // Who does not stop talking may not hear it.
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431 ");
        assert!(refused, "{head:?}: {answer}");
        assert_served(&world, B, "b-role").await;
    }
    assert_eq!(broken(&world, "malformed").await, 3);
    assert_eq!(world.log.requests(&A.full_name()), []);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    let world = start().await;
    for (target, status) in [
        (
            format!("PUT {TOKEN} HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60"),
            413,
        ),
        (format!("GET {ROLES} HTTP/1.1"), 413),
    ] {
        let head = format!("{target}\r\nContent-Length: 10000000000\r\n\r\n");
        let answer = world.client(A).send(&head).await.unwrap();
        assert_eq!(answer.seen(), (status, ""), "{target}");
        let stream = world.client(A).connect().await.unwrap();
        flood(stream, &head, &[b'x'; 4096]).await;
        let head = format!("{target}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let stream = world.client(A).connect().await.unwrap();
        flood(
            stream,
            &head,
            format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes(),
        )
        .await;
        assert_served(&world, B, "b-role").await;
    }
    assert_eq!(world.refusals("body_size").await, 6);
    assert_eq!(world.metric("imds_tokens_issued_total", &[]).await, 0);
}

#[tokio::test]
async fn whoever_goes_at_once_leaves_nothing_behind() {
    let world = start().await;
    for _ in 0..50 {
        drop(world.client(A).connect().await.unwrap());
        let mut stream = world.client(A).connect().await.unwrap();
        stream.write_all(b"GET /latest").await.unwrap();
    }
    until(async || broken(&world, "gone").await, |gone| *gone == 50).await;
    until(async || open(&world).await, |open| *open == 0).await;
    assert_served(&world, B, "b-role").await;
    assert_served(&world, A, "a-role").await;
}

#[tokio::test]
async fn one_connection_is_for_one_request() {
    let world = start().await;
    let request = format!("GET {ROLES} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    let answer = world.client(A).send(&request.repeat(3)).await.unwrap();
    assert_eq!(answer.seen(), (200, "a-role"), "and nothing behind it");
    assert_eq!(world.log.requests(&A.full_name()).len(), 1);
}

#[tokio::test]
async fn a_pod_with_very_many_connections_leaves_the_others_room() {
    let limit = getrlimit(Resource::Nofile);
    let most = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).unwrap();
    let world = start().await;
    let mut streams = Vec::new();
    for _ in 0..300 {
        streams.push(world.client(A).connect().await.unwrap());
    }
    let labels = [("reason", "too_many_of_pod")];
    let refused = async || {
        world
            .metric("imds_refused_connections_total", &labels)
            .await
    };
    until(refused, |refused| *refused == 172).await;
    assert_eq!(open(&world).await, 128);
    let answer = world.client(A).send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.is_none(), "{answer:?}");
    for _ in 0..10 {
        assert_served(&world, B, "b-role").await;
    }
    let warning = world
        .log
        .wait_for("connections refused since the last such line")
        .await;
    assert_eq!(warning["reason"], "too_many_of_pod");

    drop(streams);
    until(async || open(&world).await, |open| *open == 0).await;
    assert_served(&world, A, "a-role").await;
}
