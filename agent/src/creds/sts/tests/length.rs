//! Sessions that are too long for STS.

use std::{collections::HashMap, sync::Mutex};

use tracing::{Dispatch, Event, Level, Subscriber, subscriber::DefaultGuard};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::{
    web_identity::{Mint, by_token, keyless},
    *,
};

const CHAINED: &str = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
const ROLES: &str =
    "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";

/// Warnings of this thread, by what they are about.
#[derive(Clone, Default)]
struct Warned(Arc<Mutex<Vec<String>>>);

impl Warned {
    /// Listens. The second subscriber makes all threads ask both before they find that nobody listens.
    fn listen() -> (Self, DefaultGuard, Dispatch) {
        let warned = Self::default();
        let other = Dispatch::new(tracing_subscriber::registry());
        let guard = tracing_subscriber::registry()
            .with(warned.clone())
            .set_default();
        tracing::callsite::rebuild_interest_cache();
        (warned, guard, other)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Warned {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            let mut told = Vec::new();
            event.record(&mut |_field: &_, value: &dyn fmt::Debug| {
                told.push(format!("{value:?}"));
            });
            self.0.lock().unwrap().push(told.join(" "));
        }
    }
}

/// Refuses sessions of more than an hour with these words, and grants the rest.
async fn strict(words: &'static str, success: fn() -> Said) -> Server {
    Server::of(move |asked| {
        if asked.body.contains("DurationSeconds=3600") {
            success()
        } else {
            Said::error(400, "ValidationError", words)
        }
    })
    .await
}

fn longer(identity: Identity) -> Identity {
    Identity {
        length: SessionLength::MOST,
        ..identity
    }
}

fn other(identity: Identity) -> Identity {
    Identity {
        role: "arn:aws:iam::123456789012:role/other".parse().unwrap(),
        ..identity
    }
}

#[tokio::test]
async fn chained_sessions_fall_back_to_an_hour_and_the_agent_learns_it_for_all_roles() {
    let server = strict(CHAINED, Said::success).await;
    let (warned, _guard, _other) = Warned::listen();
    let sts = sts(&server);
    let keys = sts.fetch(&longer(identity())).await.unwrap();
    assert_eq!(keys.expires.to_string(), "2026-01-01T01:00:00Z");
    assert_eq!(server.asked().len(), 2);
    let told = warned.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("web-identity"), "{told:?}");

    for identity in [longer(identity()), longer(other(identity()))] {
        sts.fetch(&identity).await.unwrap();
    }
    assert_eq!(server.asked().len(), 4, "one call each");
    assert_eq!(warned.take(), Vec::<String>::new());
}

#[tokio::test]
async fn a_role_that_gives_no_more_is_remembered_and_named_once() {
    let server = strict(ROLES, Said::success_of_web_identity).await;
    let (warned, _guard, _other) = Warned::listen();
    let sts = keyless(&server, &Arc::new(Mint::default()));
    for calls in [2, 3] {
        sts.fetch(&longer(by_token())).await.unwrap();
        assert_eq!(server.asked().len(), calls);
    }
    let told = warned.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("role/team/cart"), "{told:?}");
    assert!(told[0].contains("MaxSessionDuration"), "{told:?}");

    sts.fetch(&longer(other(by_token()))).await.unwrap();
    assert_eq!(server.asked().len(), 5);
    let told = warned.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("role/other"), "{told:?}");
}

#[tokio::test]
async fn what_a_role_allows_is_known_when_its_next_pod_comes() {
    let server = strict(ROLES, Said::success).await;
    let sts = sts(&server);
    sts.fetch(&longer(identity())).await.unwrap();
    sts.retain(&HashMap::new());
    sts.fetch(&longer(identity())).await.unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_long_session_is_long_where_sts_grants_it() {
    let server = Server::start(|_| {
        let Said::Http(status, body) = Said::success() else {
            panic!("success is an answer");
        };
        let body = String::from_utf8(body.to_vec()).unwrap();
        Said::Http(status, body.replace("T01:00:00Z", "T12:00:00Z").into())
    })
    .await;
    let keys = sts(&server).fetch(&longer(identity())).await.unwrap();
    assert_eq!(keys.expires.to_string(), "2026-01-01T12:00:00Z");
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].body.contains("DurationSeconds=43200"), "{asked:?}");
}

#[tokio::test]
async fn no_other_error_of_a_parameter_is_asked_about_again() {
    let words =
        "1 validation error detected: Value 'x' at 'roleSessionName' failed to satisfy constraint";
    let (warned, _guard, _other) = Warned::listen();
    for (code, words, length) in [
        ("ValidationError", words, SessionLength::MOST),
        ("AccessDenied", CHAINED, SessionLength::MOST),
        ("ValidationError", CHAINED, SessionLength::HOUR),
        ("ValidationError", ROLES, SessionLength::LEAST),
    ] {
        let server = Server::start(move |_| Said::error(400, code, words)).await;
        let identity = Identity {
            length,
            ..identity()
        };
        assert!(sts(&server).fetch(&identity).await.is_err(), "{words}");
        assert_eq!(server.asked().len(), 1, "{code}: {words}");
    }
    assert_eq!(warned.take(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_refused_as_an_hour_too_is_an_error() {
    let server = Server::start(|_| Said::error(400, "ValidationError", ROLES)).await;
    let error = sts(&server).fetch(&longer(identity())).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::Invalid, "{error}");
    assert_eq!(server.asked().len(), 2);
}
