//! The whole way of a pod's identity: a token of the API server, and what STS makes of it.

use std::time::Duration;

use bpf2iam_standins::{
    apiserver::{self, ApiServer, Effect, Kind},
    clock::{Clock, Hand},
    sts::{self, KeySource, Sts, Trust},
};
use serde_json::{Value, json};

use crate::{
    sts::{ASSUME, NOW, ROLE, element, post},
    wire::{Answer, request, send},
};

/// A cluster with a pod, and an account that may trust it.
struct World {
    cluster: ApiServer,
    clock: Clock,
    hand: Hand,
}

impl World {
    fn new() -> Self {
        let (clock, hand) = Clock::by_hand(jiff::Timestamp::from_second(NOW).unwrap());
        let cluster = ApiServer::start(apiserver::Config {
            clock: clock.clone(),
            ..apiserver::Config::default()
        })
        .unwrap();
        let metadata = json!({"namespace": "shop", "name": "web"});
        let account = json!({"kind": "ServiceAccount", "metadata": metadata});
        let pod =
            json!({"kind": "Pod", "metadata": metadata, "spec": {"serviceAccountName": "web"}});
        cluster.put(account).unwrap();
        cluster.put(pod).unwrap();
        Self {
            cluster,
            clock,
            hand,
        }
    }

    /// STS, which asks this cluster for its keys.
    fn sts(&self, change: impl FnOnce(&mut sts::Config)) -> Sts {
        let url = format!("{}/openid/v1/jwks", self.cluster.url());
        let mut config = sts::Config {
            keys: Some(url.parse().unwrap()),
            clock: self.clock.clone(),
            ..sts::Config::default()
        };
        change(&mut config);
        Sts::start(config).unwrap()
    }

    async fn token(&self, audience: &str) -> String {
        let spec = json!({"audiences": [audience], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web"}});
        let body = json!({ "spec": spec }).to_string();
        let path = "/api/v1/namespaces/shop/serviceaccounts/web/token";
        let answer = send(self.cluster.addr(), &request("POST", path, "", &body)).await;
        answer.unwrap().json()["status"]["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

async fn assume(sts: &Sts, token: &str) -> Answer {
    let action = ASSUME.replace("Action=AssumeRole", "Action=AssumeRoleWithWebIdentity");
    post(sts, "", &format!("{action}&WebIdentityToken={token}")).await
}

/// The status and the code of the answer.
async fn outcome(sts: &Sts, token: &str) -> (u16, String) {
    let answer = assume(sts, token).await;
    (answer.status, element(&answer, "Code").to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_pods_token_is_good_for_its_role() {
    let world = World::new();
    let sts = world.sts(|config| {
        config.issuer = Some("https://kubernetes.default.svc.cluster.local".to_owned());
        config.trust = vec![Trust::new(ROLE, "system:serviceaccount:shop:web")];
    });
    let answer = assume(&sts, &world.token("sts.amazonaws.com").await).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let subject = element(&answer, "SubjectFromWebIdentityToken");
    assert_eq!(subject, "system:serviceaccount:shop:web");
    let keys = world.cluster.counts();
    assert!(
        keys.iter().any(|count| count.path == "/openid/v1/jwks"),
        "{keys:?}"
    );
}

#[tokio::test]
async fn what_sts_does_not_believe_it_refuses() {
    let world = World::new();
    let sts = world.sts(|_| {});
    let good = world.token("sts.amazonaws.com").await;
    assert_eq!(outcome(&sts, &good).await.0, 200);
    let foreign = World::new().token("sts.amazonaws.com").await;
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", foreign.rsplit_once('.').unwrap().1);
    for token in [foreign, forged, world.token("vault").await] {
        let expected = refused(400, "InvalidIdentityToken");
        assert_eq!(outcome(&sts, &token).await, expected, "{token}");
    }
    world.hand.advance(Duration::from_hours(1));
    let expected = refused(400, "ExpiredTokenException");
    assert_eq!(outcome(&sts, &good).await, expected);
    assert_eq!(
        outcome(&sts, &world.token("sts.amazonaws.com").await)
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_account_is_denied() {
    let world = World::new();
    let token = world.token("sts.amazonaws.com").await;
    let other = world.sts(|config| {
        config.trust = vec![Trust::new(ROLE, "system:serviceaccount:shop:other")];
    });
    let answer = assume(&other, &token).await;
    assert_eq!(
        (answer.status, element(&answer, "Code")),
        (403, "AccessDenied")
    );
    let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
    assert_eq!(element(&answer, "Message"), message);
    let elsewhere = world.sts(|config| config.issuer = Some("https://oidc".to_owned()));
    let answer = assume(&elsewhere, &token).await;
    assert_eq!(element(&answer, "Code"), "InvalidIdentityToken");
    assert!(element(&answer, "Message").starts_with("No OpenIDConnect provider found"));
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_said_to_be() {
    let world = World::new();
    let sts = world.sts(|_| {});
    let token = world.token("sts.amazonaws.com").await;
    let expected = refused(400, "IDPCommunicationError");
    for effect in [Effect::Close, Effect::Garbage, Effect::Cut] {
        let rule = apiserver::Rule::always(effect.clone()).times(1);
        world.cluster.rules().add(rule);
        assert_eq!(outcome(&sts, &token).await, expected, "{effect:?}");
    }
    world
        .cluster
        .rules()
        .add(apiserver::Rule::status(503).times(1));
    assert_eq!(outcome(&sts, &token).await, expected);
    world.cluster.refuse().await;
    assert_eq!(outcome(&sts, &token).await, expected);
    world.cluster.accept().unwrap();
    assert_eq!(outcome(&sts, &token).await.0, 200);
}

#[tokio::test]
async fn keys_can_come_from_a_file_or_be_given() {
    let world = World::new();
    let token = world.token("sts.amazonaws.com").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let with = |keys: KeySource| world.sts(|config| config.keys = Some(keys));
    let sts = with(KeySource::File(path.clone()));
    let expected = refused(400, "IDPCommunicationError");
    assert_eq!(outcome(&sts, &token).await, expected, "no file yet");
    let jwks: Value = world.cluster.jwks();
    std::fs::write(&path, jwks.to_string()).unwrap();
    assert_eq!(outcome(&sts, &token).await.0, 200);
    let sts = with(jwks.to_string().parse().unwrap());
    assert_eq!(outcome(&sts, &token).await.0, 200);
}

#[tokio::test]
async fn a_token_outlives_its_pod_for_sts() {
    let world = World::new();
    let token = world.token("sts.amazonaws.com").await;
    world.cluster.delete(Kind::Pod, "shop", "web").unwrap();
    assert_eq!(outcome(&world.sts(|_| {}), &token).await.0, 200);
}
