use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time};
use tower::service_fn;

use super::*;

const START: &str = "2026-01-01T00:00:00Z";

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
enum Said {
    /// Makes a token that lives so many seconds.
    Token(i64),
    /// Refuses.
    No(u16, &'static str),
    /// Never answers.
    Nothing,
}

type Journal = Arc<Mutex<Vec<(String, Value)>>>;

/// Tokens of a server that answers the n-th request with `script(n)`; and what it was asked.
fn tokens(script: impl Fn(usize) -> Said + Send + Sync + 'static) -> (Tokens, Journal) {
    tokens_at(script, Clock::starting_at(START.parse().unwrap()))
}

fn tokens_at(
    script: impl Fn(usize) -> Said + Send + Sync + 'static,
    clock: Clock,
) -> (Tokens, Journal) {
    let (journal, script) = (Journal::default(), Arc::new(script));
    let seen = Arc::clone(&journal);
    let service = service_fn(move |request: Request<Body>| {
        let (journal, script) = (Arc::clone(&seen), Arc::clone(&script));
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let number = {
                let mut journal = journal.lock().unwrap();
                journal.push((path, serde_json::from_slice(&body).unwrap()));
                journal.len() - 1
            };
            Ok::<_, Infallible>(answer(number, script(number)).await)
        }
    });
    let client = Client::new(service, "default");
    (Tokens::new(client, clock, Metrics::new()), journal)
}

async fn answer(number: usize, said: Said) -> Response<Full<Bytes>> {
    // As if it took the server a moment: so that calls overlap.
    time::sleep(Duration::from_millis(10)).await;
    let (status, body) = match said {
        Said::Token(life) => {
            // The server's clock is off; that is nobody's business.
            let claims = json!({"iat": 1_000_000, "exp": 1_000_000 + life}).to_string();
            let token = format!("e30.{}.{number}", URL_SAFE_NO_PAD.encode(claims));
            let status = json!({"token": token, "expirationTimestamp": "2001-01-01T00:00:00Z"});
            (
                201,
                json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"audiences": []}, "status": status}),
            )
        }
        Said::No(code, reason) => (
            code,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as the server puts it", "reason": reason, "code": code}),
        ),
        Said::Nothing => std::future::pending().await,
    };
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(status).body(body).unwrap()
}

fn whose(pod: u8) -> WebIdentity {
    WebIdentity {
        pod: format!("shop/cart-{pod}").parse().unwrap(),
        uid: format!("00000000-0000-0000-0000-0000000000{pod:02x}")
            .parse()
            .unwrap(),
        service_account: "cart".into(),
        audience: "sts.amazonaws.com".into(),
        life: 86_400,
    }
}

/// The number of the request that gave the token.
async fn number(tokens: &Tokens, whose: &WebIdentity) -> usize {
    let token = tokens.token(whose).await.unwrap();
    token.expose().rsplit('.').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_this_pod_and_this_audience() {
    let (tokens, journal) = tokens(|_| Said::Token(3600));
    let token = tokens.token(&whose(1)).await.unwrap();
    assert!(token.expose().starts_with("e30."));
    let journal = journal.lock().unwrap().clone();
    let (path, body) = &journal[0];
    assert_eq!(path, "/api/v1/namespaces/shop/serviceaccounts/cart/token");
    let expected = json!({
        "audiences": ["sts.amazonaws.com"],
        "boundObjectRef": {
            "apiVersion": "v1", "kind": "Pod", "name": "cart-1",
            "uid": "00000000-0000-0000-0000-000000000001",
        },
        "expirationSeconds": 86_400,
    });
    assert_eq!(body["spec"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_for_80_percent_of_the_life_that_the_server_gave_it() {
    let (tokens, _) = tokens(|_| Said::Token(3600));
    let mut numbers = Vec::new();
    for seconds in [0, 2879, 2, 2877, 4] {
        time::advance(Duration::from_secs(seconds)).await;
        numbers.push(number(&tokens, &whose(1)).await);
    }
    assert_eq!(numbers, [0, 0, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_put_ahead_makes_no_token_last_longer() {
    let (clock, ahead) = Clock::jumping(START.parse().unwrap());
    let (tokens, _) = tokens_at(|_| Said::Token(3600), clock);
    assert_eq!(number(&tokens, &whose(1)).await, 0);
    ahead.store(3000, Ordering::Relaxed);
    assert_eq!(number(&tokens, &whose(1)).await, 1);
    ahead.store(-100_000, Ordering::Relaxed);
    assert_eq!(number(&tokens, &whose(1)).await, 1);
    time::advance(Duration::from_secs(2881)).await;
    assert_eq!(number(&tokens, &whose(1)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_at_a_time_get_the_same_and_nobody_anothers() {
    let (tokens, journal) = tokens(|_| Said::Token(3600));
    let tokens = Arc::new(tokens);
    let mut asking = JoinSet::new();
    for pod in [1, 2].repeat(50) {
        let tokens = Arc::clone(&tokens);
        asking.spawn(async move { (pod, tokens.token(&whose(pod)).await.unwrap()) });
    }
    let answers = asking.join_all().await;
    assert_eq!(journal.lock().unwrap().len(), 2);
    let mine = |pod| {
        answers
            .iter()
            .filter(move |(of, _)| *of == pod)
            .map(|(_, token)| token.expose())
    };
    assert_eq!(mine(1).collect::<HashSet<_>>().len(), 1);
    assert_ne!(mine(1).next(), mine(2).next());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_nobody_with_him() {
    let (tokens, journal) = tokens(|_| Said::Token(3600));
    let hasty = time::timeout(Duration::from_millis(5), tokens.get(&whose(1))).await;
    assert!(hasty.is_err());
    assert_eq!(number(&tokens, &whose(1)).await, 1);
    assert_eq!(journal.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_pod_audience_account_or_life_is_another_token() {
    let (tokens, _) = tokens(|_| Said::Token(3600));
    let reborn = WebIdentity {
        uid: whose(9).uid,
        ..whose(1)
    };
    let elsewhere = WebIdentity {
        audience: "other".into(),
        ..whose(1)
    };
    let somebody = WebIdentity {
        service_account: "till".into(),
        ..whose(1)
    };
    let short = WebIdentity {
        life: 600,
        ..whose(1)
    };
    for (expected, identity) in [whose(1), reborn, elsewhere, somebody, short, whose(1)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            number(&tokens, &identity).await,
            expected % 5,
            "{identity:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_nobody_answers_the_old_token_does_until_it_ends() {
    for silence in [
        Said::Nothing,
        Said::No(503, "ServiceUnavailable"),
        Said::No(401, "Unauthorized"),
    ] {
        let script = move |number| {
            if number == 0 {
                Said::Token(3600)
            } else {
                silence
            }
        };
        let (tokens, _) = tokens(script);
        assert_eq!(number(&tokens, &whose(1)).await, 0);
        time::advance(Duration::from_mins(50)).await;
        assert_eq!(number(&tokens, &whose(1)).await, 0, "{silence:?}");
        time::advance(Duration::from_mins(10)).await;
        let error = tokens.token(&whose(1)).await.unwrap_err();
        assert!(
            matches!(error, TokenError::Unavailable(_)),
            "{silence:?}: {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_not_given_from_memory() {
    for (code, reason) in [
        (403, "Forbidden"),
        (409, "Conflict"),
        (404, "NotFound"),
        (422, "Invalid"),
    ] {
        let script = move |number| {
            if number == 0 {
                Said::Token(3600)
            } else {
                Said::No(code, reason)
            }
        };
        let (tokens, _) = tokens(script);
        assert_eq!(number(&tokens, &whose(1)).await, 0);
        time::advance(Duration::from_mins(50)).await;
        for _ in 0..2 {
            let error = tokens.token(&whose(1)).await.unwrap_err();
            assert!(error.is_final(), "{error}");
            assert!(
                error.to_string().contains("as the server puts it"),
                "{error}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_costs_three_seconds() {
    let (tokens, _) = tokens(|_| Said::Nothing);
    let start = Instant::now();
    assert!(tokens.token(&whose(1)).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_sts_refused_is_not_given_again() {
    let (tokens, _) = tokens(|_| Said::Token(3600));
    let first = tokens.token(&whose(1)).await.unwrap();
    tokens.refused(&whose(2), &first);
    tokens.refused(&whose(1), &Secret::new("another"));
    assert_eq!(tokens.token(&whose(1)).await.unwrap(), first);
    tokens.refused(&whose(1), &first);
    let second = tokens.token(&whose(1)).await.unwrap();
    assert_ne!(second, first);
    // Who was late with it does no harm.
    tokens.refused(&whose(1), &first);
    assert_eq!(tokens.token(&whose(1)).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_forgotten_with_the_pod_and_never_too_much() {
    let (tokens, _) = tokens(|_| Said::Token(3600));
    for pod in 1..=3 {
        number(&tokens, &whose(pod)).await;
    }
    tokens.retain(&[&whose(2)].into());
    assert_eq!(tokens.slots().len(), 1);
    assert_eq!(number(&tokens, &whose(2)).await, 1);
    assert_eq!(number(&tokens, &whose(1)).await, 3);

    for life in 0..3000 {
        drop(tokens.slot(&WebIdentity { life, ..whose(9) }));
    }
    assert_eq!(tokens.slots().len(), MOST);
    let beyond = WebIdentity {
        life: 5000,
        ..whose(9)
    };
    assert_eq!(number(&tokens, &beyond).await, 4);
    assert_eq!(number(&tokens, &beyond).await, 5);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_how_they_ended() {
    let script = |number| match number {
        0 => Said::Token(3600),
        1 => Said::No(403, "Forbidden"),
        2 => Said::No(409, "Conflict"),
        _ => Said::Nothing,
    };
    let (tokens, _) = tokens(script);
    let mut registry = prometheus_client::registry::Registry::default();
    tokens.metrics.register(&mut registry);
    for pod in [1, 1, 2, 3, 4] {
        drop(tokens.token(&whose(pod)).await);
    }
    let page = crate::metrics::encode(&registry).unwrap();
    for (outcome, count) in [
        ("success", 1),
        ("forbidden", 1),
        ("gone", 1),
        ("refused", 0),
        ("unavailable", 1),
    ] {
        let line = format!("service_account_token_requests_total{{outcome=\"{outcome}\"}} {count}");
        assert!(page.contains(&line), "{line} in\n{page}");
    }
    assert!(
        page.contains("last_success_timestamp_seconds 1767225600\n"),
        "{page}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_in_what_is_told() {
    let (tokens, _) = tokens(|_| Said::Token(3600));
    let token = tokens.token(&whose(1)).await.unwrap();
    let slot = tokens.slot(&whose(1));
    for told in [
        format!("{tokens:?}"),
        format!("{slot:?}"),
        format!("{token:?}"),
    ] {
        assert!(!told.contains("e30"), "{told}");
    }
}
