//! The end: nobody who was there before it is sent away, and nobody is let in after it.

use std::{io::ErrorKind, time::Duration};

use tokio::io::AsyncWriteExt as _;

use crate::{
    client::{ROLES, read},
    pod::Pod,
    wait::{AT_ONCE, leap, soon, timed, until},
    world::{Setup, World},
};

const A: Pod = Pod::new(1);

/// Nobody is let in. Not at once: a process that another test starts has our sockets until it runs its program.
async fn assert_closed(world: &World) {
    let refused = async || {
        world
            .client(A)
            .connect()
            .await
            .err()
            .map(|error| error.kind())
    };
    until(refused, |refused| {
        *refused == Some(ErrorKind::ConnectionRefused)
    })
    .await;
}

async fn one_is_open(world: &World) {
    let open = async || world.metric("imds_open_connections", &[]).await;
    until(open, |open| *open == 1).await;
}

const CUT_OFF: &str = "some requests were cut off";

fn cut_off(world: &World) -> bool {
    world.log.lines().iter().any(|line| line.contains(CUT_OFF))
}

#[tokio::test]
async fn a_request_under_way_gets_its_answer() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    let mut stream = world.client(A).connect().await.unwrap();
    let half = format!("GET {ROLES} HTTP/1.1\r\nHost: ");
    stream.write_all(half.as_bytes()).await.unwrap();
    one_is_open(&world).await;
    let stopping = tokio::spawn(world.take_agent().stop());
    assert_closed(&world).await;
    assert!(!stopping.is_finished(), "the end waits for it");
    stream.write_all(b"x\r\n\r\n").await.unwrap();
    assert_eq!(read(stream).await.unwrap().seen(), (200, "a-role"));
    soon(stopping).await.unwrap();
    assert!(!cut_off(&world));
}

#[tokio::test]
async fn whoever_was_connected_may_still_ask() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    assert_eq!(world.client(A).get(ROLES).await.status, 200);
    let mut stream = world.client(A).connect_unseen().unwrap();
    let stopping = tokio::spawn(world.take_agent().stop());
    until(
        async || world.client(A).connect().await.is_err(),
        |refused| *refused,
    )
    .await;
    let request = format!("GET {ROLES} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read(stream).await.unwrap().seen(), (200, "a-role"));
    soon(stopping).await.unwrap();
    assert!(!cut_off(&world));
}

#[tokio::test]
async fn whoever_says_nothing_does_not_keep_the_agent_alive() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    let silent = world.client(A).connect().await.unwrap();
    one_is_open(&world).await;
    let agent = world.take_agent();
    tokio::join!(soon(agent.stop()), leap(Duration::from_secs(6)));
    assert_closed(&world).await;
    drop(silent);
}

#[tokio::test]
async fn an_idle_agent_ends_at_once_with_all_its_doors() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    assert_eq!(world.client(A).get(ROLES).await.status, 200);
    let ((), took) = timed(world.stop()).await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_closed(&world).await;
    until(async || world.admin_is_closed().await, |closed| *closed).await;
}
