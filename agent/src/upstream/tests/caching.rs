//! What is remembered, and for how long.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::upstream::testing::{PINNED, Reply, giving_tokens, later, ok, status};

const GET: &str = "GET /latest/meta-data/a";
const PATH: &str = "meta-data/a";

#[tokio::test]
async fn each_kind_of_value_is_good_for_its_time() {
    use Freshness as F;
    for (freshness, found, good, old) in [
        (F::Lasting, true, 3595, 3601),
        (F::Lasting, false, 4, 6),
        (F::Brief, true, 4, 6),
        (F::Brief, false, 4, 6),
    ] {
        let service = giving_tokens(move |_| {
            if found {
                ok("x")
            } else {
                status("404 Not Found", &[], "")
            }
        })
        .await;
        let (upstream, metrics) = upstream(&service.addr);
        let value = found.then_some("x");
        let read = async || text(upstream.read(PATH, freshness, pod()).await);
        assert_eq!(read().await.as_deref(), value);
        later(Duration::from_secs(good)).await;
        assert_eq!(read().await.as_deref(), value);
        assert_eq!(service.lines()[1..], [GET], "{freshness:?} {found}");
        assert_eq!(metrics.reads(Origin::Memory), 1);
        later(Duration::from_secs(old - good)).await;
        assert_eq!(read().await.as_deref(), value);
        assert_eq!(service.lines()[1..], [GET, GET], "{freshness:?} {found}");
    }
}

#[tokio::test]
async fn what_is_about_to_happen_is_asked_for_each_time() {
    let service = giving_tokens(|_| status("404 Not Found", &[], "")).await;
    let (upstream, metrics) = upstream(&service.addr);
    for _ in 0..3 {
        let read = upstream.read(PATH, Freshness::Never, pod()).await;
        assert_eq!(text(read), None);
    }
    assert_eq!(service.lines()[1..], [GET, GET, GET]);
    assert_eq!(metrics.reads(Origin::Memory), 0);
}

#[tokio::test]
async fn when_the_service_is_gone_what_never_changes_is_still_there_and_nothing_else() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, metrics) = upstream(&service.addr);
    let all = [
        (PATH, Freshness::Lasting),
        ("meta-data/b", Freshness::Brief),
        ("meta-data/c", Freshness::Never),
    ];
    for (path, freshness) in all {
        assert_eq!(
            text(upstream.read(path, freshness, pod()).await).as_deref(),
            Some("x")
        );
    }
    service.stop().await;
    for hours in [2, 48] {
        later(Duration::from_hours(hours)).await;
        for _ in 0..2 {
            let [lasting, brief, never] = all;
            let read = upstream.read(lasting.0, lasting.1, pod()).await;
            assert_eq!(text(read).as_deref(), Some("x"));
            for (path, freshness) in [brief, never] {
                let told = reason(upstream.read(path, freshness, pod()).await);
                assert!(told.contains("cannot connect"), "{told}");
            }
        }
    }
    assert_eq!(metrics.reads(Origin::Stale), 4);
    assert_eq!(metrics.reads(Origin::Nothing), 8);
}

#[tokio::test]
async fn who_waits_for_what_never_changes_does_not_wait_for_a_service_that_hangs() {
    let hangs = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&hangs);
    let service = giving_tokens(move |_| {
        if told.load(Ordering::Relaxed) {
            Reply::Hang
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, metrics) = upstream(&service.addr);
    upstream
        .read(PATH, Freshness::Lasting, pod())
        .await
        .unwrap();
    hangs.store(true, Ordering::Relaxed);
    later(Duration::from_hours(2)).await;
    let start = Instant::now();
    let read = upstream.read(PATH, Freshness::Lasting, pod()).await;
    assert_eq!(text(read).as_deref(), Some("x"));
    let took = start.elapsed();
    assert!(took < Duration::from_millis(600), "{took:?}");
    assert_eq!(metrics.reads(Origin::Stale), 1);
    // It comes back.
    hangs.store(false, Ordering::Relaxed);
    time::sleep(Duration::from_millis(700)).await;
    later(Duration::from_secs(1)).await;
    upstream
        .read(PATH, Freshness::Lasting, pod())
        .await
        .unwrap();
    assert_eq!(metrics.reads(Origin::Stale), 1);
    upstream
        .read(PATH, Freshness::Lasting, pod())
        .await
        .unwrap();
    assert_eq!(metrics.reads(Origin::Memory), 1);
}

#[tokio::test]
async fn thousands_of_paths_displace_each_other_and_not_what_every_pod_reads() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, _) = upstream(&service.addr);
    upstream
        .read(PINNED[0], Freshness::Lasting, pod())
        .await
        .unwrap();
    for number in 0..1000 {
        let path = format!("meta-data/tags/{number}");
        let target = path::target(&path).unwrap();
        // For no pod: one of them may not ask for so much.
        let wanted = (Freshness::Brief, Wish::Any);
        if let Way::Flight(flight) = upstream.way(&path, target, wanted, None) {
            flight.landed().await.unwrap();
        }
    }
    assert_eq!(upstream.flights.remembered(), [256 + PINNED.len(), 0]);
    service.forget();
    upstream
        .read(PINNED[0], Freshness::Lasting, pod())
        .await
        .unwrap();
    upstream
        .read("meta-data/tags/999", Freshness::Brief, pod())
        .await
        .unwrap();
    assert!(service.lines().is_empty());
    upstream
        .read("meta-data/tags/0", Freshness::Brief, pod())
        .await
        .unwrap();
    assert_eq!(service.lines(), ["GET /latest/meta-data/tags/0"]);
}
