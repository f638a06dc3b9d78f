//! What is read before anybody asks.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::{
    telemetry::testing::Logged,
    upstream::testing::{PINNED, giving_tokens, later, ok, status},
};

/// Keeps `PINNED` warm, as `keep_warm` does with what the agent reads.
fn keep(upstream: &Upstream) -> tokio::task::JoinHandle<()> {
    let upstream = upstream.clone();
    tokio::spawn(async move { warm::keep(&upstream, PINNED).await })
}

#[tokio::test]
async fn trouble_is_said_once_and_that_it_is_over() {
    let (logged, _listening) = Logged::listen();
    let up = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&up);
    let service = giving_tokens(move |_| {
        if told.load(Ordering::Relaxed) {
            ok("x")
        } else {
            status("503 Service Unavailable", &[], "")
        }
    })
    .await;
    let (upstream, metrics) = upstream(&service.addr);
    let keeping = keep(&upstream);
    let asked = async |outcome, times| {
        while metrics.requests(Purpose::Read, outcome) < times {
            time::sleep(Duration::from_millis(1)).await;
        }
        time::sleep(Duration::from_millis(5)).await;
    };
    for times in 1..4 {
        asked(Outcome::Refused, times).await;
        later(Duration::from_secs(31)).await;
    }
    asked(Outcome::Refused, 4).await;
    up.store(true, Ordering::Relaxed);
    later(Duration::from_secs(31)).await;
    asked(Outcome::Success, 1).await;
    service.forget();
    let read = upstream.read(PINNED[0], Freshness::Lasting, pod()).await;
    assert_eq!(text(read).as_deref(), Some("x"));
    assert!(service.lines().is_empty(), "it was there before");
    assert_eq!(logged.lines("WARN").len(), 1);
    let over = logged.lines("the metadata service answers again");
    assert_eq!(over.len(), 1);
    assert_eq!(logged.lines("").len(), 2, "{:?}", logged.lines(""));
    keeping.abort();
}

#[tokio::test]
async fn what_is_about_to_be_old_is_read_again_and_an_outage_harms_nobody() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, metrics) = upstream(&service.addr);
    let keeping = keep(&upstream);
    for times in 1..4 {
        while metrics.requests(Purpose::Read, Outcome::Success) < times {
            time::sleep(Duration::from_millis(1)).await;
        }
        time::sleep(Duration::from_millis(5)).await;
        later(Duration::from_mins(51)).await;
    }
    while metrics.requests(Purpose::Read, Outcome::Success) < 4 {
        time::sleep(Duration::from_millis(1)).await;
    }
    service.stop().await;
    later(Duration::from_hours(24)).await;
    for _ in 0..3 {
        let read = upstream.read(PINNED[0], Freshness::Lasting, pod()).await;
        assert_eq!(text(read).as_deref(), Some("x"));
    }
    assert_eq!(metrics.reads(Origin::Nothing), 0);
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_it() {
    let (upstream, _) = upstream(&testing::nobody().await);
    let (signal, drain) = drain::channel();
    let keeping = tokio::spawn(async move { upstream.keep_warm(drain).await });
    assert!(signal.drain(Duration::from_secs(1)).await);
    keeping.await.unwrap();
}
