//! Roles of ServiceAccounts: a token of the pod is exchanged, and the node has no part in it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bpf2iam::{
    clock::Clock,
    creds::{
        Secret, WebIdentity,
        web_identity::{TokenError, TokenSource as _},
    },
    kubernetes::{
        self, Server, Settings, Trust,
        token::{Metrics, Tokens},
    },
};
use bpf2iam_standins::{
    apiserver::{self, ApiServer, Config, Failure, Kind, Verb},
    sts::{Action, Code, Rule},
};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const SUBJECT: &str = "system:serviceaccount:shop:till";

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
}

/// The ServiceAccount `till`, with this role in its annotation.
fn account(role: Option<&str>) -> Value {
    let annotations =
        role.map(|role| json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}{role}")}));
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "till", "namespace": NAMESPACE, "annotations": annotations},
    })
}

/// `pod`, which runs as `till`.
fn of_account(pod: Pod, role: Option<&str>) -> Value {
    let mut manifest = pod.manifest(role);
    manifest["spec"]["serviceAccountName"] = "till".into();
    manifest
}

fn cluster() -> Setup {
    let objects = [namespace(), account(Some("a-role")), of_account(A, None)];
    Setup::default().cluster(objects).trust("a-role", SUBJECT)
}

/// How often the API server was asked for a token, whatever it said.
fn asked_for_tokens(api: &ApiServer) -> usize {
    let requests = api.requests().entries();
    requests
        .iter()
        .filter(|seen| seen.path.ends_with("/token"))
        .count()
}

/// No token is in anything that the agent said.
fn assert_no_token_in(world: &World) {
    // So begins every signed token.
    let said = world.said();
    let leak = said.iter().find(|line| line.contains("eyJ"));
    assert_eq!(leak, None);
}

#[tokio::test]
async fn a_pod_gets_the_role_of_its_service_account_by_its_own_token() {
    let world = cluster().start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    let keys = world.client(A).keys("a-role").await;
    let issued = world.sts().issued(&keys.access_key_id).unwrap();
    assert_eq!(issued.action, Action::AssumeRoleWithWebIdentity);
    assert_eq!(issued.subject.as_deref(), Some(SUBJECT));
    assert_eq!(issued.duration_seconds, 3600);

    let calls = world.sts().calls().entries();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].signed_by, None);
    assert_eq!(asked_for_tokens(world.api()), 1);
    let labels = [("outcome", "success")];
    assert_eq!(
        world
            .metric("service_account_token_requests_total", &labels)
            .await,
        1
    );
    assert_no_token_in(&world);
}

#[tokio::test]
async fn the_pods_own_annotation_comes_first_and_is_the_nodes_business() {
    let objects = [
        namespace(),
        account(Some("a-role")),
        of_account(B, Some("b-role")),
    ];
    let world = Setup::default().cluster(objects).start().await;
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));
    let keys = world.client(B).keys("b-role").await;
    let issued = world.sts().issued(&keys.access_key_id).unwrap();
    assert_eq!(issued.action, Action::AssumeRole);
    assert_eq!(asked_for_tokens(world.api()), 0);
}

#[tokio::test]
async fn a_token_that_sts_calls_expired_is_replaced_once() {
    let expired = Rule::error(Code::ExpiredTokenException).times(1);
    let world = cluster().rule(expired).start().await;
    let list = async || world.client(A).get(ROLES).await.status;
    until(list, |status| *status == 200).await;
    assert_eq!(world.calls("a-role"), 2);
    assert_eq!(asked_for_tokens(world.api()), 2);
    assert_eq!(world.fetches("success").await, 1);
    assert_eq!(world.fetches("unavailable").await, 0);
    assert_no_token_in(&world);
}

/// Pod A gets nothing, and people are told so: with `told`.
async fn assert_refused(world: &World, told: &[&str]) {
    until(
        async || world.log.records("no new credentials").len(),
        |said| *said > 0,
    )
    .await;
    assert!(world.client(A).get(ROLES).await.is_absent());
    let events = async || world.api().objects(Kind::Event);
    let events = until(events, |events| !events.is_empty()).await;
    assert_eq!(events[0]["reason"], "RoleRefusedBySTS");
    let note = events[0]["note"].as_str().unwrap();
    for part in told {
        assert!(note.contains(part), "{part} in {note}");
    }
    assert_no_token_in(world);
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_service_account_is_told_with_the_subject() {
    let objects = [namespace(), account(Some("a-role")), of_account(A, None)];
    let other = "system:serviceaccount:shop:other";
    let world = Setup::default()
        .cluster(objects)
        .trust("a-role", other)
        .start()
        .await;
    assert_refused(&world, &["trust policy", SUBJECT, "sts.amazonaws.com"]).await;
    assert_eq!(world.calls("a-role"), 1);
    assert_eq!(world.fetches("denied").await, 1);
}

#[tokio::test]
async fn an_audience_that_the_account_does_not_know_is_told() {
    let mut account = account(Some("a-role"));
    account["metadata"]["annotations"]["eks.amazonaws.com/audience"] = "elsewhere".into();
    let objects = [namespace(), account, of_account(A, None)];
    let world = Setup::default().cluster(objects).start().await;
    assert_refused(&world, &["audience", "elsewhere", "123456789012"]).await;
    assert_eq!(world.calls("a-role"), 2, "a new token, and no more");
    assert_eq!(
        world.fetches("denied").await,
        1,
        "the account may learn of it"
    );
}

#[tokio::test]
async fn no_token_is_made_where_another_pod_has_the_name_by_now() {
    let objects = [namespace(), account(None), of_account(A, None)];
    let world = Setup::default().cluster(objects).start().await;
    assert!(world.client(A).get(ROLES).await.is_absent());
    let mut reborn = of_account(A, None);
    reborn["metadata"]["uid"] = "0f1e2d3c-4b5a-6978-8796-00000000ffff".into();
    world.api().put_quietly(reborn).unwrap();
    world.api().put(account(Some("a-role"))).unwrap();

    let asked = async || world.fetches("no_token").await;
    until(asked, |count| *count > 0).await;
    assert!(world.client(A).get(ROLES).await.is_absent());
    let labels = [("outcome", "gone")];
    assert_eq!(
        world
            .metric("service_account_token_requests_total", &labels)
            .await,
        1
    );
    assert_eq!(world.calls("a-role"), 0);
    let error = world.log.records("no new credentials")[0]["error"].to_string();
    assert!(error.contains("another one has its name"), "{error}");
    assert_eq!(world.api().objects(Kind::Event), [] as [Value; 0]);
}

#[tokio::test]
async fn who_may_not_ask_for_tokens_is_told_what_is_missing_and_other_roles_work() {
    let objects = [
        namespace(),
        account(None),
        of_account(A, None),
        of_account(B, Some("b-role")),
    ];
    let world = Setup::default().cluster(objects).start().await;
    let forbidden = apiserver::Rule::status(403)
        .for_verb(Verb::Create)
        .for_path("*/token");
    world.api().rules().add(forbidden);
    world.api().put(account(Some("a-role"))).unwrap();

    let asked = async || world.fetches("no_token").await;
    until(asked, |count| *count > 0).await;
    assert!(world.client(A).get(ROLES).await.is_absent());
    assert_eq!(world.client(B).get(ROLES).await.status, 200);
    let error = world.log.records("no new credentials")[0]["error"].to_string();
    for part in [
        SUBJECT,
        "may not create serviceaccounts/token",
        NAMESPACE,
        "deploy/",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let events = async || world.api().objects(Kind::Event);
    let events = until(events, |events| !events.is_empty()).await;
    assert_eq!(events[0]["reason"], "NoServiceAccountToken");
}

/// Tokens of `api` for an agent.
async fn tokens(api: &ApiServer) -> Tokens {
    let server = Server::parse(&api.url(), None, Trust::Authorities).unwrap();
    let client = kubernetes::connect(&Settings::Server(server))
        .await
        .unwrap();
    Tokens::new(client, Clock::system(), Metrics::new())
}

fn whose(pod: Pod) -> WebIdentity {
    WebIdentity {
        pod: pod.full_name().parse().unwrap(),
        uid: pod.uid().parse().unwrap(),
        service_account: "till".into(),
        audience: "sts.amazonaws.com".into(),
        life: 86_400,
    }
}

fn claims(token: &Secret) -> Value {
    let claims = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn server(config: Config) -> ApiServer {
    let api = ApiServer::start(config).unwrap();
    for object in [namespace(), account(None), of_account(A, None)] {
        api.put(object).unwrap();
    }
    api
}

#[tokio::test]
async fn a_token_is_bound_to_the_pod_and_its_uid() {
    let api = server(Config::default());
    let token = tokens(&api).await.token(&whose(A)).await.unwrap();
    let claims = claims(&token);
    assert_eq!(claims["sub"], SUBJECT);
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(
        claims["kubernetes.io"]["pod"],
        json!({"name": A.name(), "uid": A.uid()})
    );
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 86_400);
}

#[tokio::test]
async fn what_the_server_does_not_grant_is_told_apart() {
    let api = server(Config::default());
    let tokens = tokens(&api).await;
    let another = WebIdentity {
        uid: B.uid().parse().unwrap(),
        ..whose(A)
    };
    let stranger = WebIdentity {
        service_account: "nobody".into(),
        ..whose(A)
    };
    let short = WebIdentity {
        life: 5,
        ..whose(A)
    };
    let got = [
        tokens.token(&another).await,
        tokens.token(&whose(B)).await,
        tokens.token(&stranger).await,
        tokens.token(&short).await,
    ];
    assert!(matches!(got[0], Err(TokenError::OtherPod(_))), "{got:?}");
    assert!(matches!(got[1], Err(TokenError::NoPod(_))), "{got:?}");
    assert!(
        matches!(got[2], Err(TokenError::NoServiceAccount(_))),
        "{got:?}"
    );
    assert!(matches!(got[3], Err(TokenError::Refused(_))), "{got:?}");

    let policy = Failure::new(422).message("ValidatingAdmissionPolicy 'bpf2iam' denied request");
    api.rules()
        .add(apiserver::Rule::always(apiserver::Effect::Status(policy)));
    let refused = tokens.token(&whose(A)).await.unwrap_err();
    assert!(matches!(refused, TokenError::Forbidden(_)), "{refused}");
}

#[tokio::test]
async fn fifty_who_ask_at_a_time_cost_one_request() {
    let api = server(Config::default());
    let tokens = Arc::new(tokens(&api).await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let tokens = Arc::clone(&tokens);
        asking.spawn(async move { tokens.token(&whose(A)).await.is_ok() });
    }
    assert!(asking.join_all().await.into_iter().all(|made| made));
    assert_eq!(asked_for_tokens(&api), 1);
}
