use jiff::Timestamp;

use crate::http::tests::get;

use super::*;

fn pages() -> (Pages, Readiness) {
    let readiness = Readiness::new();
    let pages = Pages {
        metrics: Arc::new(metrics::registry(Timestamp::UNIX_EPOCH)),
        readiness: readiness.clone(),
    };
    (pages, readiness)
}

#[tokio::test]
async fn the_port_answers_until_the_drain() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.address();
    let (signal, watch) = drain::channel();
    let running = tokio::spawn(server.run(pages().0, watch));
    let (status, body) = get(address, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("bpf2iam_build_info{"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert_eq!(get(address, "/healthz").await.1, "ok\n");
    for path in [
        "/",
        "/latest/meta-data/",
        "/v1/status",
        "/metrics/",
        "/debug/store",
    ] {
        assert_eq!(
            get(address, path).await.0,
            "HTTP/1.1 404 Not Found",
            "{path}"
        );
    }
    assert!(signal.drain(Duration::from_secs(5)).await);
    running.await.unwrap();
    assert!(
        TcpListener::bind(address).await.is_ok(),
        "the port is free again"
    );
}

#[tokio::test]
async fn readyz_says_what_is_pending() {
    let (pages, readiness) = pages();
    let readyz = async || {
        let page = http::Pages::get(&pages, &Uri::from_static("/readyz"))
            .await
            .unwrap();
        (page.status.as_u16(), page.body)
    };
    let (pods, listener) = (readiness.guard("pods"), readiness.guard("listener"));
    assert_eq!(
        readyz().await,
        (503, "not ready: waiting for listener, pods\n".to_owned())
    );
    drop(listener);
    assert_eq!(
        readyz().await,
        (503, "not ready: waiting for pods\n".to_owned())
    );
    drop(pods);
    assert_eq!(readyz().await, (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let page = http::Pages::get(&pages().0, &Uri::from_static("/metrics"))
        .await
        .unwrap();
    assert_eq!(
        page.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
}

#[tokio::test]
async fn an_address_of_another_machine_says_which_flag_to_change() {
    let error = Server::bind("192.0.2.1:9998".parse().unwrap()).unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert_eq!(
        error,
        "cannot listen on 192.0.2.1:9998 for --admin-listen (give another ADDRESS:PORT, or `off` to \
         do without): Cannot assign requested address (os error 99)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_port_in_use_is_waited_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let server = Server::bind(address).unwrap();
    assert_eq!(server.address(), address);
    let (signal, watch) = drain::channel();
    let running = tokio::spawn(server.run(pages().0, watch));
    time::sleep(RETRY * 2).await;
    assert!(listen(address).is_err(), "somebody else has it still");
    drop(taken);
    time::sleep(RETRY * 2).await;
    assert_eq!(get(address, "/healthz").await.1, "ok\n");
    assert!(signal.drain(Duration::from_secs(5)).await);
    running.await.unwrap();
}
