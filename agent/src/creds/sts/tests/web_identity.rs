use std::collections::HashSet;

use std::sync::Mutex;

use crate::creds::{
    Secret, WebIdentity,
    web_identity::{Minting, TokenError},
};

use super::*;

/// A secret of the pod: must never be seen.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.EXAMPLE";

/// Makes a new token whenever one was refused.
#[derive(Debug, Default)]
pub(super) struct Mint {
    refused: AtomicUsize,
    asked: AtomicUsize,
    error: Option<TokenError>,
    wanted: Mutex<Vec<WebIdentity>>,
}

impl TokenSource for Mint {
    fn token<'a>(&'a self, _whose: &'a WebIdentity) -> Minting<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let number = self.refused.load(Ordering::Relaxed);
        let token = self.error.clone().map_or(Ok(()), Err);
        Box::pin(async move { token.map(|()| Secret::new(format!("{TOKEN}.{number}"))) })
    }

    fn refused(&self, whose: &WebIdentity, token: &Secret) {
        assert_eq!(*whose, pod());
        let number = self.refused.fetch_add(1, Ordering::Relaxed);
        assert_eq!(token.expose(), format!("{TOKEN}.{number}"));
    }

    fn retain(&self, wanted: &HashSet<&WebIdentity>) {
        *self.wanted.lock().unwrap() = wanted.iter().copied().cloned().collect();
    }
}

fn pod() -> WebIdentity {
    WebIdentity {
        pod: "shop/cart-0".parse().unwrap(),
        uid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
        service_account: "cart".into(),
        audience: "sts.example.org".into(),
        life: 86_400,
    }
}

pub(super) fn by_token() -> Identity {
    Identity {
        web_identity: Some(pod()),
        ..identity()
    }
}

/// Looking for keys of the node would take for ever.
#[derive(Debug)]
struct Never;

impl ProvideCredentials for Never {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(std::future::pending())
    }
}

/// STS on a node without keys.
pub(super) fn keyless(server: &Server, mint: &Arc<Mint>) -> Sts {
    let mut config = config("eu-west-1", &server.url()).into_builder();
    config.set_credentials_provider(Some(SharedCredentialsProvider::new(Never)));
    let sts = Sts::new(&config.build(), clock()).unwrap();
    sts.with_tokens(Arc::<Mint>::clone(mint))
}

#[tokio::test]
async fn the_token_is_enough_and_nobody_signs() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let mint = Arc::default();
    let keys = keyless(&server, &mint).fetch(&by_token()).await.unwrap();
    assert_eq!(keys.access_key_id, "ASIAEXAMPLE");
    assert_eq!(keys.secret_access_key.expose(), "pod-secret");
    assert_eq!(keys.expires.to_string(), "2026-01-01T01:00:00Z");

    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].authorization, "");
    for part in [
        "Action=AssumeRoleWithWebIdentity&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Fcart",
        "RoleSessionName=node-1",
        "DurationSeconds=3600",
        "WebIdentityToken=eyJhbGciOiJSUzI1NiJ9.EXAMPLE.0",
    ] {
        assert!(asked[0].body.contains(part), "{part} in {}", asked[0].body);
    }
    assert!(!asked[0].body.contains("ExternalId"), "{asked:?}");
}

#[tokio::test]
async fn a_node_without_any_provider_of_keys_will_do() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let mut config = config("eu-west-1", &server.url()).into_builder();
    config.set_credentials_provider(None);
    let sts = Sts::new(&config.build(), clock()).unwrap();
    let sts = sts.with_tokens(Arc::new(Mint::default()));
    assert!(sts.fetch(&by_token()).await.is_ok());
}

#[tokio::test]
async fn a_role_without_a_web_identity_is_assumed_by_the_node_all_the_same() {
    let server = Server::start(|_| Said::success()).await;
    let mint = Arc::<Mint>::default();
    let sts = sts(&server).with_tokens(Arc::<Mint>::clone(&mint));
    assert!(sts.fetch(&identity()).await.is_ok());
    assert!(server.asked()[0].authorization.contains("AKIDNODE1/"));
    assert_eq!(mint.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once() {
    for code in [
        "ExpiredTokenException",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
    ] {
        let server = Server::start(move |number| match number {
            0 => Said::error(400, code, "as STS puts it"),
            _ => Said::success_of_web_identity(),
        })
        .await;
        let sts = keyless(&server, &Arc::default());
        assert!(sts.fetch(&by_token()).await.is_ok(), "{code}");
        let asked = server.asked();
        assert!(asked[0].body.contains("EXAMPLE.0"), "{code}: {asked:?}");
        assert!(asked[1].body.contains("EXAMPLE.1"), "{code}: {asked:?}");

        let server = Server::start(move |_| Said::error(400, code, "as STS puts it")).await;
        let sts = keyless(&server, &Arc::default());
        assert!(sts.fetch(&by_token()).await.is_err(), "{code}");
        assert_eq!(server.asked().len(), 2, "{code}");
    }
}

#[tokio::test]
async fn each_error_is_what_its_code_says_and_tells_what_to_look_at() {
    let (sub, aud) = ("system:serviceaccount:shop:cart", "\"sts.example.org\"");
    let cases = [
        (
            403,
            "AccessDenied",
            Kind::Denied,
            1,
            vec![sub, aud, "trust policy"],
        ),
        (
            403,
            "IDPRejectedClaim",
            Kind::Denied,
            2,
            vec![sub, aud, "trust policy"],
        ),
        (
            400,
            "InvalidIdentityToken",
            Kind::Denied,
            2,
            vec!["OIDC provider", aud, "123456789012"],
        ),
        (
            400,
            "ExpiredTokenException",
            Kind::Unavailable,
            2,
            vec!["clock"],
        ),
        (400, "IDPCommunicationError", Kind::Unavailable, 1, vec![]),
        (400, "MalformedPolicyDocument", Kind::Invalid, 1, vec![]),
        (400, "PackedPolicyTooLarge", Kind::Invalid, 1, vec![]),
        (400, "ValidationError", Kind::Invalid, 1, vec![]),
        (
            403,
            "RegionDisabledException",
            Kind::Denied,
            1,
            vec!["activate", "123456789012", "eu-west-1"],
        ),
        (400, "Throttling", Kind::Throttled, 1, vec![]),
        (500, "InternalFailure", Kind::Unavailable, 1, vec![]),
    ];
    let mut tries = JoinSet::new();
    for (status, code, expected, calls, told) in cases {
        tries.spawn(async move {
            let said = Said::error(status, code, "as STS puts it.");
            let server = Server::start(move |_| said.clone()).await;
            let sts = keyless(&server, &Arc::default());
            let error = sts.fetch(&by_token()).await.unwrap_err();
            assert_eq!(Kind::from(&error), expected, "{status} {code}: {error}");
            let error = error.to_string();
            for part in told.into_iter().chain(["as STS puts it"]) {
                assert!(error.contains(part), "{code}: {part} in {error}");
            }
            assert!(!error.contains("node's own keys"), "{code}: {error}");
            assert_eq!(server.asked().len(), calls, "{code}");
        });
    }
    while let Some(tried) = tries.join_next().await {
        tried.unwrap();
    }
}

#[tokio::test]
async fn without_a_token_sts_is_not_asked() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    for reason in [
        TokenError::Forbidden("as the server puts it".to_owned()),
        TokenError::OtherPod("as the server puts it".to_owned()),
        TokenError::Unavailable("as the server puts it".to_owned()),
    ] {
        let mint = Mint {
            error: Some(reason.clone()),
            ..Mint::default()
        };
        let sts = keyless(&server, &Arc::new(mint));
        let error = sts.fetch(&by_token()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::NoToken, "{error}");
        assert_eq!(error.is_final(), reason.is_final(), "{error}");
        let error = error.to_string();
        for part in ["system:serviceaccount:shop:cart", "as the server puts it"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn where_nobody_makes_tokens_the_error_says_so() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let error = sts(&server).fetch(&by_token()).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::NoToken, "{error}");
    assert!(error.is_final());
    assert!(error.to_string().contains("--pods kube"), "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn no_token_is_made_for_a_role_of_another_partition() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let mint = Arc::default();
    let identity = Identity {
        role: "arn:aws-cn:iam::123456789012:role/r".parse().unwrap(),
        ..by_token()
    };
    let error = keyless(&server, &mint).fetch(&identity).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::Invalid, "{error}");
    assert_eq!(mint.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn whose_tokens_are_still_needed_is_passed_on() {
    let server = Server::start(|_| Said::success()).await;
    let mint = Arc::default();
    keyless(&server, &mint).retain(
        &[identity(), by_token()]
            .map(|one| (one, crate::creds::Beginning::New))
            .into(),
    );
    assert_eq!(*mint.wanted.lock().unwrap(), [pod()]);
}

#[tokio::test]
async fn the_token_is_not_in_what_is_told() {
    let server = Server::start(|_| Said::error(400, "InvalidIdentityToken", "no")).await;
    let sts = keyless(&server, &Arc::default());
    let error = sts.fetch(&by_token()).await.unwrap_err();
    for told in [error.to_string(), format!("{error:?}"), format!("{sts:?}")] {
        assert!(!told.contains("eyJ"), "{told}");
    }
}

#[tokio::test]
async fn the_token_of_a_request_that_cannot_be_sent_is_not_repeated() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let sts = garbled(keyless(&server, &Arc::default()));
    let error = sts.fetch(&by_token()).await.unwrap_err();
    for told in [error.to_string(), format!("{error:?}")] {
        assert!(!told.contains("eyJ") && !told.contains("Request"), "{told}");
    }
}
