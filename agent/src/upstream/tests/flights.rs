//! Many who ask at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;

use super::*;
use crate::upstream::testing::{PINNED, Reply, giving_tokens, ok};

const PATH: &str = "meta-data/a";

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
            tokio::spawn(async move { upstream.read(PATH, freshness, pod()).await })
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
    let read = upstream.read(PATH, Freshness::Brief, pod()).now_or_never();
    assert!(read.is_none(), "gone at once");
    until(|| metrics.requests(Purpose::Read, Outcome::Success) == 1).await;
    tokio::task::yield_now().await;
    let read = upstream.read(PATH, Freshness::Brief, pod()).await;
    assert_eq!(text(read).as_deref(), Some("x"));
    assert_eq!(service.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_asks_for_ten_thousand_things_blocks_nothing_that_all_may_read() {
    const HANGS: Duration = Duration::from_millis(700);
    let metrics = Metrics::new();
    let flights = Arc::new(Flights::new(PINNED, metrics.clone()));
    let [begun, open, most] = [0; 3].map(|_| Arc::new(AtomicUsize::new(0)));
    let wanted = (Freshness::Brief, Wish::Any);
    let flood: Vec<_> = (0..10_000)
        .map(|number| {
            let [begun, open, most] = [&begun, &open, &most].map(Arc::clone);
            let hang = || async move {
                begun.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                time::sleep(HANGS).await;
                open.fetch_sub(1, Ordering::Relaxed);
                Ok(None)
            };
            flights.way(&format!("meta-data/tags/{number}"), wanted, None, hang)
        })
        .collect();
    let refused = flood.iter().filter(|way| matches!(way, Way::Failing(_)));
    assert_eq!(
        refused.count(),
        10_000 - 64,
        "who would wait in vain, does not"
    );
    let start = Instant::now();
    match flights.way(PINNED[0], wanted, None, || async { Ok(None) }) {
        Way::Flight(flight) => assert_eq!(flight.landed().await.unwrap(), None),
        Way::Known(_) | Way::Failing(_) => panic!("it is not known"),
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    for way in flood {
        if let Way::Flight(flight) = way {
            let _landed = flight.landed().await.is_ok();
        }
    }
    assert!(start.elapsed() <= HANGS + Duration::from_millis(2));
    let [begun, most] = [begun, most].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((begun, most), (8, 8));
    assert_eq!(metrics.turned(Purpose::Read), 10_000 - 8);
    let [paths, under_way] = flights.remembered();
    assert!(paths <= 257 && under_way == 0, "{paths} {under_way}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_asks_for_everything_leaves_the_others_and_all_listings_their_turn() {
    let metrics = Metrics::new();
    let flights = Arc::new(Flights::new(PINNED, metrics.clone()));
    let wanted = (Freshness::Brief, Wish::Any);
    let slow = || async {
        time::sleep(Duration::from_millis(100)).await;
        Ok(None)
    };
    let other: PodUid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1".parse().unwrap();
    for number in 0..200 {
        let _way = flights.way(&format!("meta-data/x{number}"), wanted, Some(pod()), slow);
    }
    assert_eq!(metrics.turned(Purpose::Read), 200 - 4);
    for (path, asker) in [("meta-data/mac", other), ("meta-data/placement", pod())] {
        let Way::Flight(flight) = flights.way(path, wanted, Some(asker), slow) else {
            panic!("{path} has no turn");
        };
        assert_eq!(flight.landed().await.unwrap(), None, "{path}");
    }
    let way = flights.way(
        "meta-data/x0",
        (Freshness::Never, Wish::Newer),
        Some(pod()),
        slow,
    );
    assert!(
        matches!(way, Way::Flight(_)),
        "what has landed counts no more: {way:?}"
    );
}

#[tokio::test]
async fn a_task_that_is_lost_blocks_nobody() {
    let flights = Arc::new(Flights::new(&[], Metrics::new()));
    let way = |ask: fn() -> Answer| {
        let wanted = (Freshness::Brief, Wish::Any);
        match flights.way(PATH, wanted, None, || async move { ask() }) {
            Way::Flight(flight) => flight.landed(),
            Way::Known(_) | Way::Failing(_) => panic!("it is not known"),
        }
    };
    let lost = way(|| panic!("a fault of ours")).await;
    assert!(matches!(*lost.unwrap_err(), Failure::Lost));
    assert_eq!(way(|| Ok(None)).await.unwrap(), None);
}
