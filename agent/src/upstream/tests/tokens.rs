//! The agent's own token.

use super::*;
use crate::{
    telemetry::{Level, testing::Logged},
    upstream::testing::{Scripted, giving_tokens, later, ok, status, token},
};

const PUT: &str = "PUT /latest/api/token";
const GET: &str = "GET /latest/meta-data/a";

/// Asks, without anything being remembered.
async fn read(upstream: &Upstream) -> Result<Option<Item>, Error> {
    upstream.read("meta-data/a", Freshness::Never, pod()).await
}

#[tokio::test]
async fn a_service_without_tokens_is_asked_without() {
    for refusal in ["403 Forbidden", "404 Not Found", "405 Not Allowed"] {
        let service = Scripted::start(move |head| {
            if head.starts_with("PUT ") {
                status(refusal, &[], "")
            } else {
                ok("x")
            }
        })
        .await;
        let (upstream, _) = upstream(&service.addr);
        for _ in 0..2 {
            assert_eq!(text(read(&upstream).await).as_deref(), Some("x"));
        }
        assert_eq!(service.lines(), [PUT, GET, GET]);
        assert!(!service.heads().join("").contains("metadata-token:"));
        later(Duration::from_mins(5)).await;
        assert_eq!(text(read(&upstream).await).as_deref(), Some("x"));
        assert_eq!(service.lines()[3..], [PUT, GET], "it may have changed");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let service = giving_tokens(|head| {
        if head.contains("token-1\r\n") {
            status("401 Unauthorized", &[], "")
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    for _ in 0..2 {
        assert_eq!(text(read(&upstream).await).as_deref(), Some("x"));
    }
    assert_eq!(service.lines(), [PUT, GET, PUT, GET, GET]);
}

#[tokio::test]
async fn a_service_that_takes_no_token_is_not_asked_for_ever() {
    let service = giving_tokens(|_| status("401 Unauthorized", &[], "")).await;
    let (upstream, _) = upstream(&service.addr);
    let says = reason(read(&upstream).await);
    assert!(
        says.ends_with("\"meta-data/a\" is answered with status 401 Unauthorized"),
        "{says}"
    );
    assert_eq!(service.lines(), [PUT, GET, PUT, GET]);
}

#[tokio::test]
async fn many_who_ask_at_once_get_one_token() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, _) = upstream(&service.addr);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (upstream, path) = (upstream.clone(), format!("meta-data/{number}"));
            let pod = format!("{number:032}").parse().unwrap();
            tokio::spawn(async move { upstream.read(&path, Freshness::Brief, pod).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(text(task.await.unwrap()).as_deref(), Some("x"));
    }
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| *line == PUT).count(), 1);
    assert_eq!(lines.len(), 9);
}

#[tokio::test]
async fn a_token_is_renewed_minutes_before_its_end() {
    let service = giving_tokens(|_| ok("x")).await;
    let (upstream, _) = upstream(&service.addr);
    read(&upstream).await.unwrap();
    later(Duration::from_mins(6 * 60 - 11)).await;
    read(&upstream).await.unwrap();
    later(Duration::from_mins(2)).await;
    read(&upstream).await.unwrap();
    assert_eq!(service.lines(), [PUT, GET, GET, PUT, GET]);
    assert!(service.heads()[4].contains("token-2"));
}

#[tokio::test]
async fn an_old_token_does_while_no_new_one_is_given() {
    for reply in [
        status("503 Service Unavailable", &[], ""),
        testing::Reply::Hang,
    ] {
        let tokens = std::sync::atomic::AtomicUsize::new(0);
        let service = Scripted::start(move |head| {
            use std::sync::atomic::Ordering;
            if !head.starts_with("PUT ") {
                ok("x")
            } else if tokens.fetch_add(1, Ordering::Relaxed) == 0 {
                token("first")
            } else {
                reply.clone()
            }
        })
        .await;
        let (upstream, _) = upstream(&service.addr);
        read(&upstream).await.unwrap();
        later(Duration::from_mins(6 * 60 - 5)).await;
        for _ in 0..3 {
            assert_eq!(text(read(&upstream).await).as_deref(), Some("x"));
        }
        assert_eq!(service.lines(), [PUT, GET, PUT, GET, GET, GET]);
        later(Duration::from_mins(1)).await;
        assert_eq!(text(read(&upstream).await).as_deref(), Some("x"));
        assert_eq!(service.lines()[6..], [PUT, GET], "it is tried again");
        later(Duration::from_mins(5)).await;
        assert!(read(&upstream).await.is_err(), "at its end it is no good");
    }
}

#[tokio::test]
async fn a_shorter_life_counts_and_what_is_no_token_does_not() {
    let short = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60";
    let service = Scripted::start(move |head| {
        if head.starts_with("PUT ") {
            status("200 OK", &[short], "short")
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    read(&upstream).await.unwrap();
    later(Duration::from_mins(1)).await;
    read(&upstream).await.unwrap();
    assert_eq!(service.lines(), [PUT, GET, PUT, GET]);

    for no_token in ["", "two\nlines", "\u{1}", &"x".repeat(2000)] {
        let body = no_token.to_owned();
        let service = Scripted::start(move |_| ok(&body)).await;
        let (upstream, _) = testing::upstream(&service.addr);
        let says = reason(read(&upstream).await);
        assert!(says.contains("/latest/api/token"), "{says}");
        assert!(!says.contains("two") && !says.contains("xxx"), "{says}");
        assert_eq!(service.lines(), [PUT], "nothing is asked without one");
    }
}

#[tokio::test]
async fn a_service_that_cannot_give_a_token_now_is_not_asked_for_one_by_everybody() {
    let service = Scripted::start(|_| status("500 Internal Server Error", &[], "")).await;
    let (upstream, _) = upstream(&service.addr);
    for number in 0..100 {
        let path = format!("meta-data/{number}");
        let says = reason(upstream.read(&path, Freshness::Brief, pod()).await);
        assert!(
            says.contains("/latest/api/token is answered with status 500"),
            "{says}"
        );
        if number == 0 {
            time::pause();
        }
    }
    time::resume();
    assert_eq!(service.lines(), [PUT]);
    later(Duration::from_secs(1)).await;
    assert!(read(&upstream).await.is_err());
    assert_eq!(service.lines(), [PUT, PUT]);
}

#[tokio::test]
async fn the_token_is_in_no_debug_text_no_error_and_no_log() {
    let (logged, _listening) = Logged::listen_at(Level::Trace);
    let service = giving_tokens(|head| {
        if head.contains("/b ") {
            testing::Reply::Text("nonsense\r\n\r\n".to_owned())
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    read(&upstream).await.unwrap();
    let error = upstream.read("meta-data/b", Freshness::Brief, pod()).await;
    let told = format!("{upstream:?} {:?} {error:?}", upstream.service);
    assert!(told.contains("Sensitive"), "it is there: {told}");
    assert!(service.heads().concat().contains("token-1"));
    for text in [told, reason(error), logged.lines("").join("\n")] {
        assert!(!text.contains("token-1"), "{text}");
    }
}
