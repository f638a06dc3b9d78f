//! A look whether STS is there.

use jiff::SignedDuration;

use super::*;

#[tokio::test]
async fn a_look_is_no_call_and_tells_how_far_off_the_clock_is() {
    for (said, status) in [(Said::success(), 200), (Said::new(302, ""), 302)] {
        let said = said.dated("Thu, 01 Jan 2026 00:10:00 GMT");
        let server = Server::start(move |_| said.clone()).await;
        let look = sts(&server).look().await;
        assert_eq!(look.url, Some(format!("{}/", server.url())));
        let answer = look.answer.unwrap();
        assert_eq!(answer.status, status);
        let ahead = answer.ahead.unwrap();
        let minutes = ahead.round(jiff::Unit::Minute).unwrap();
        assert_eq!(minutes, SignedDuration::from_mins(-10));
        let asked = server.asked();
        assert_eq!(asked.len(), 1);
        let one = &asked[0];
        assert_eq!(
            (&*one.line, &*one.authorization, &*one.body),
            ("GET /", "", "")
        );
    }
}

#[tokio::test]
async fn where_nobody_is_it_is_said_where_that_would_be() {
    let config = config("eu-west-1", "http://127.0.0.1:1");
    let look = Sts::new(&config, clock()).unwrap().look().await;
    assert_eq!(look.url.as_deref(), Some("http://127.0.0.1:1/"));
    let error = look.answer.unwrap_err();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn what_may_be_secret_in_where_sts_is_is_not_told() {
    let config = config("eu-west-1", "http://127.0.0.1:1");
    let config = config
        .into_builder()
        .endpoint_url("http://u:hunter2@127.0.0.1:1/p?hunter3");
    // A profile may say so for STS alone, and then nobody has looked at it.
    let node = Node::new(
        aws_sdk_sts::config::Builder::from(&config.build()).build(),
        None,
    );
    let ours = Sts::new(&self::config("eu-west-1", "http://127.0.0.1:1"), clock()).unwrap();
    let look = Sts { node, ..ours }.look().await;
    let told = format!("{look:?}");
    assert!(!told.contains("hunter"), "{told}");
    assert_eq!(look.url.as_deref(), Some("http://127.0.0.1:1/"));
}
