//! Many who ask at the same time.

use super::*;
use crate::upstream::testing::{PINNED, Reply, Scripted, giving_tokens, ok};

const PATH: &str = "meta-data/a";

/// A service that answers only to what every pod reads.
async fn hanging() -> Scripted {
    giving_tokens(|head| {
        if head.contains(PINNED[0]) {
            ok("x")
        } else {
            Reply::Hang
        }
    })
    .await
}

/// Waits until something has happened.
async fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < end, "it never happens");
        time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn who_hangs_up_ends_no_request_that_others_wait_for() {
    for freshness in [Freshness::Lasting, Freshness::Brief, Freshness::Never] {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        let reply = Reply::Late(Duration::from_millis(100), answer.to_owned());
        let service = giving_tokens(move |_| reply.clone()).await;
        let (upstream, metrics) = upstream(&service.addr);
        let ask = || {
            let upstream = upstream.clone();
            tokio::spawn(async move { upstream.read(PATH, freshness).await })
        };
        let first = ask();
        until(|| service.lines().len() == 2).await;
        let others: Vec<_> = (0..20).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        for other in others {
            assert_eq!(text(other.await.unwrap()).as_deref(), Some("x"));
        }
        assert_eq!(service.lines().len(), 2);
        assert_eq!(metrics.reads(Origin::Service), 20);
    }
}

#[tokio::test]
async fn what_was_asked_for_by_somebody_who_is_gone_is_remembered() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, metrics) = upstream(&service.addr);
    let read = upstream.read(PATH, Freshness::Brief);
    assert!(
        time::timeout(Duration::ZERO, read).await.is_err(),
        "gone at once"
    );
    until(|| metrics.requests(Purpose::Read, Outcome::Success) == 1).await;
    tokio::task::yield_now().await;
    let read = upstream.read(PATH, Freshness::Brief).await;
    assert_eq!(text(read).as_deref(), Some("x"));
    assert_eq!(service.lines().len(), 2);
}

#[tokio::test]
async fn a_pod_that_asks_for_ten_thousand_things_blocks_nothing_that_all_may_read() {
    let service = hanging().await;
    let (upstream, metrics) = upstream(&service.addr);
    // The token is there.
    upstream.read(PINNED[0], Freshness::Never).await.unwrap();
    let flood: Vec<_> = (0..10_000)
        .map(|number| {
            let upstream = upstream.clone();
            let path = format!("meta-data/tags/{number}");
            tokio::spawn(async move { upstream.read(&path, Freshness::Brief).await })
        })
        .collect();
    until(|| service.lines().len() >= 2 + 8).await;
    let start = Instant::now();
    let read = upstream.read(PINNED[0], Freshness::Never).await;
    assert_eq!(text(read).as_deref(), Some("x"));
    assert!(start.elapsed() < Duration::from_millis(600));
    for asked in flood {
        assert!(asked.await.unwrap().is_err());
    }
    assert!(service.most() <= 8 + 1, "{}", service.most());
    assert!(service.lines().len() <= 3 + 64, "{}", service.lines().len());
    assert!(metrics.turned(Purpose::Read) >= 10_000 - 64);
    let [paths, under_way] = upstream.flights.remembered();
    assert!(paths <= 257 && under_way == 0, "{paths} {under_way}");
}

#[tokio::test]
async fn a_task_that_is_lost_blocks_nobody() {
    let flights = Arc::new(Flights::new(&[], Metrics::new()));
    let way = |ask: fn() -> Answer| {
        let wanted = (Freshness::Brief, Wish::Any);
        match flights.way(PATH, wanted, || async move { ask() }) {
            Way::Flight(flight) => flight.landed(),
            Way::Known(_) | Way::Failing(_) => panic!("it is not known"),
        }
    };
    let lost = way(|| panic!("a fault of ours")).await;
    assert!(matches!(*lost.unwrap_err(), Failure::Lost));
    assert_eq!(way(|| Ok(None)).await.unwrap(), None);
}
