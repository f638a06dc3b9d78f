use std::{
    future::pending,
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use prometheus_client::{encoding::text, registry::Registry};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::JoinHandle,
};

use super::{opening::HEAD_PATIENCE, *};
use crate::{
    attest::Via,
    clock::Clock,
    creds::{Credentials, Derived, Identity, Secret, State},
    id::{CgroupId, NetnsCookie, PodRef},
    imds::{
        Instance, Known, Made, Metrics,
        token::{Authority, BootId, Key},
    },
    metadata::Place,
    pods::{Pod, Subject, annotation::ROLE, binding::Policy, index, resolve::Resolver},
};

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const LIST: &str = "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\nHost: x\r\n\r\n";
const CREDENTIALS: &str =
    "GET /latest/meta-data/iam/security-credentials/my-role HTTP/1.1\r\nHost: x\r\n\r\n";

/// Knows everybody as the same pod, but for those who come at the given turns.
#[derive(Debug, Default)]
struct Fake {
    turn: AtomicUsize,
    refuses: Vec<usize>,
    panics: Vec<usize>,
    hangs: Vec<usize>,
}

impl Attest for Fake {
    async fn attest(&self, _: &TcpStream, _: SocketAddr) -> Result<Caller, Refusal> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if self.refuses.contains(&turn) {
            return Err(Refusal::NoRecord);
        }
        assert!(
            !self.panics.contains(&turn),
            "the panic that this test wants"
        );
        if self.hangs.contains(&turn) {
            pending::<()>().await;
        }
        Ok(Caller {
            cgroup: CgroupId::new(1),
            pod: UID.parse().unwrap(),
            container: None,
            client: Ipv4Addr::LOCALHOST.into(),
            netns: NetnsCookie::new(1),
            via: Via::Redirect,
        })
    }
}

/// One state for everybody.
#[derive(Debug)]
struct Fixed(watch::Sender<State>);

impl Supply for Arc<Fixed> {
    fn watch(&self, _: &Identity) -> watch::Receiver<State> {
        self.0.subscribe()
    }
}

/// Gives nothing a few times, then connections.
struct Flaky {
    errors: AtomicUsize,
    listener: TcpListener,
}

impl Listen for Flaky {
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let left = self.errors.load(Ordering::Relaxed);
        if left > 0 {
            self.errors.store(left - 1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        self.listener.accept().await
    }

    fn into_std(self) -> io::Result<net::TcpListener> {
        self.listener.into_std()
    }
}

struct World {
    address: SocketAddr,
    running: JoinHandle<()>,
    signal: drain::Signal,
    state: Arc<Fixed>,
    registry: Registry,
    _pods: index::Writer,
}

fn ready() -> State {
    let issued = Timestamp::UNIX_EPOCH;
    State::Ready(Arc::new(Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: Secret::new("secret-key"),
        session_token: Secret::new("session-token"),
        issued,
        expires: issued + jiff::SignedDuration::from_hours(1),
        document: Derived::default(),
    }))
}

/// A server that does not run yet.
fn server(attest: Fake, limits: Limits) -> (Server<Fake, Arc<Fixed>>, index::Writer, Registry) {
    let (pods, store) = index::new();
    let mut pod = Pod::new(UID.parse().unwrap(), PodRef::new("shop", "cart"));
    let role = "arn:aws:iam::123456789012:role/my-role".to_owned();
    pod.annotations = [(ROLE.to_owned(), role)].into();
    let _changes = pods.reset([Subject::alone(pod)]);
    let (mut registry, metrics) = (Registry::default(), Metrics::new());
    metrics.register(&mut registry);
    let service = Service {
        pods: Resolver::new(store, Arc::new(Policy::new("node")), None),
        credentials: Arc::new(Fixed(watch::Sender::new(ready()))),
        tokens: Authority::new(&Key::new([7; 32]), BootId::new([1; 16])),
        instance: Instance::Made(Made {
            known: watch::channel(Known::All(Place::default())).1,
            since: Timestamp::UNIX_EPOCH,
        }),
        clock: Clock::starting_at(Timestamp::UNIX_EPOCH),
        metrics,
    };
    let server = Server::with_limits(attest, service, limits);
    (server, pods, registry)
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn start(attest: Fake) -> World {
    start_with(attest, LIMITS).await
}

async fn start_with(attest: Fake, limits: Limits) -> World {
    let (server, pods, registry) = server(attest, limits);
    let listener = listener().await;
    let (signal, watch) = drain::channel();
    World {
        address: listener.local_addr().unwrap(),
        state: Arc::clone(&server.service.credentials),
        running: tokio::spawn(server.run([listener], watch)),
        signal,
        registry,
        _pods: pods,
    }
}

impl World {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` over a new connection and reads to its end.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        // A server that has heard enough closes before everything is written.
        let _written = client.write_all(bytes.as_ref()).await.is_ok();
        read(client).await
    }

    #[track_caller]
    fn counted(&self, line: &str) {
        let page = self.page();
        assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
    }

    fn page(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).unwrap();
        page
    }

    /// Waits until all connections are gone, however the scheduler likes it.
    async fn quiet(&self) {
        while !self.page().contains("imds_open_connections 0\n") {
            tokio::task::yield_now().await;
        }
    }
}

/// Everything up to the end of the connection, or to its reset.
async fn read(mut client: impl AsyncRead + Unpin) -> String {
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(size @ 1..) = client.read(&mut chunk).await {
        got.extend_from_slice(&chunk[..size]);
    }
    String::from_utf8(got).unwrap()
}

#[track_caller]
fn assert_served(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
    assert!(answer.ends_with("\r\n\r\nmy-role"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_looks_on_the_wire_as_ec2s_does() {
    let world = start(Fake::default()).await;
    let answer = world.send(LIST).await;
    assert_served(&answer);
    let (head, _body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head
        .lines()
        .map(|line| {
            if line.starts_with("Date: ") {
                "Date"
            } else {
                line
            }
        })
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "Accept-Ranges: none",
            "Connection: close",
            "Content-Length: 7",
            "Content-Type: text/plain",
            "Date",
            "HTTP/1.1 200 OK",
            "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
            "Server: EC2ws",
        ]
    );
    let date = head.lines().find_map(|line| line.strip_prefix("Date: "));
    let date = jiff::fmt::rfc2822::parse(date.unwrap()).unwrap();
    assert!(date.timestamp() > Timestamp::UNIX_EPOCH);
}

#[tokio::test]
async fn a_token_is_given_and_taken() {
    let world = start(Fake::default()).await;
    // As curl sends it: neither Content-Length nor Transfer-Encoding.
    let put = "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
    let answer = world.send(put).await;
    let (head, token) = answer.split_once("\r\n\r\n").unwrap();
    for line in [
        "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60",
        "Content-Length: 56",
        "Connection: close",
    ] {
        assert!(head.lines().any(|got| got == line), "{line} in {head}");
    }
    let get = format!(
        "GET /latest/user-data HTTP/1.1\r\nHost: x\r\nx-AWS-ec2-metadata-token: {token}\r\n\r\n"
    );
    let answer = world.send(get).await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\n"));
    assert!(answer.contains("\r\nContent-Length: 339\r\n"), "{answer}");
}

#[tokio::test]
async fn refusals_have_their_status_a_length_and_an_end() {
    let world = start(Fake::default()).await;
    for (request, first) in [
        ("GET /latest/api/token", "HTTP/1.1 405 Not Allowed"),
        (
            "POST /latest/meta-data/iam/info",
            "HTTP/1.1 405 Not Allowed",
        ),
        ("PUT /latest/api/token", "HTTP/1.1 400 Bad Request"),
        ("PUT /latest/api/token/", "HTTP/1.1 403 Forbidden"),
    ] {
        let answer = world.send(format!("{request} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(answer.lines().next(), Some(first), "{request}");
        assert!(answer.contains("\r\nContent-Length: 0\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn head_tells_the_length_and_leaves_the_body_out() {
    let world = start(Fake::default()).await;
    let answer = world.send(LIST.replace("GET", "HEAD")).await;
    assert!(answer.contains("\r\nContent-Length: 7\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn one_connection_is_for_one_request() {
    let world = start(Fake::default()).await;
    let answer = world.send(format!("{LIST}{CREDENTIALS}")).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn who_is_not_known_gets_no_answer() {
    let world = start(Fake {
        refuses: vec![0, 1],
        ..Fake::default()
    })
    .await;
    for _ in 0..2 {
        assert_eq!(world.send(CREDENTIALS).await, "");
    }
    world.counted(r#"imds_refused_connections_total{reason="no_record"} 2"#);
    assert_served(&world.send(LIST).await);
}

#[tokio::test]
async fn a_panic_costs_one_connection() {
    let world = start(Fake {
        panics: vec![0],
        ..Fake::default()
    })
    .await;
    assert_eq!(world.send(LIST).await, "");
    assert_served(&world.send(LIST).await);
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_or_not_all_is_let_go() {
    let world = start(Fake::default()).await;
    for bytes in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let before = Instant::now();
        assert_eq!(world.send(bytes).await, "", "{bytes:?}");
        let elapsed = before.elapsed();
        assert!(
            elapsed.abs_diff(HEAD_PATIENCE) < HEAD_PATIENCE / 10,
            "{elapsed:?}"
        );
    }
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_speaks_slowly_has_no_more_time_than_others() {
    let world = start(Fake::default()).await;
    let before = Instant::now();
    let (from, mut to) = world.connect().await.into_split();
    let speaking = async {
        for byte in LIST.as_bytes() {
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
            time::sleep(Duration::from_millis(300)).await;
        }
        // The other half keeps the connection.
        drop(to);
    };
    let (answer, ()) = tokio::join!(read(from), speaking);
    assert_eq!(answer, "");
    let elapsed = before.elapsed();
    assert!(
        elapsed < HEAD_PATIENCE + Duration::from_secs(1),
        "{elapsed:?}"
    );
    world.counted(r#"imds_broken_connections_total{reason="timeout"} 1"#);
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn no_connection_lives_for_ever() {
    let world = start(Fake {
        hangs: vec![0],
        ..Fake::default()
    })
    .await;
    let before = Instant::now();
    assert_eq!(world.send(LIST).await, "");
    assert_eq!(before.elapsed().as_secs(), CONNECTION_PATIENCE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_longer_than_anything_else() {
    let world = start(Fake::default()).await;
    let body = "PUT /latest/api/token HTTP/1.1\r\nContent-Length: 9\r\n\r\nx";
    let before = Instant::now();
    let answer = world.send(body).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let waited = before.elapsed();
    assert!(
        waited.abs_diff(crate::imds::service::PATIENCE).as_millis() < 50,
        "{waited:?}"
    );
}

/// What is wrong with heads is in the tests of `head`; here is what becomes of it.
#[tokio::test]
async fn garbage_is_no_request() {
    let world = start(Fake::default()).await;
    let garbage = [
        "\r\n\r\n\r\n\0\0",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /latest/ meta-data HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET \u{1}\u{2} HTTP/1.1\r\n\r\n",
        // The head is right, and hyper knows no such target.
        "GET http:// HTTP/1.1\r\n\r\n",
    ];
    for bytes in garbage {
        assert_refused(&world.send(bytes).await, "400 Bad Request");
    }
    world.counted(&format!(
        r#"imds_broken_connections_total{{reason="malformed"}} {}"#,
        garbage.len()
    ));
    assert_served(&world.send(LIST).await);
    world.quiet().await;
}

#[track_caller]
fn assert_refused(answer: &str, status: &str) {
    let first = format!("HTTP/1.1 {status}\r\n");
    assert!(
        answer
            .to_ascii_lowercase()
            .starts_with(&first.to_ascii_lowercase()),
        "{answer:?}"
    );
    for line in ["Connection: close", "Content-Length: 0"] {
        let there = answer.lines().any(|got| got.eq_ignore_ascii_case(line));
        assert!(there, "{line} in {answer:?}");
    }
    assert!(answer.ends_with("\r\n\r\n"), "{answer:?}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer:?}");
}

#[tokio::test]
async fn a_refusal_looks_as_ec2s_do() {
    let world = start(Fake::default()).await;
    let answer = world.send("GET\r\n\r\n").await;
    assert_eq!(
        answer,
        "HTTP/1.1 400 Bad Request\r\n\
         Content-Type: text/plain\r\n\
         Server: EC2ws\r\n\
         Connection: close\r\n\
         Content-Length: 0\r\n\
         Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         \r\n"
    );
}

#[tokio::test]
async fn a_head_may_come_in_pieces() {
    let world = start(Fake::default()).await;
    for (request, served) in [(LIST, true), ("GET / HTTP/1.1\r\nX: y\n\r\n", false)] {
        let mut client = world.connect().await;
        client.set_nodelay(true).unwrap();
        for byte in request.as_bytes() {
            // A server that has heard enough closes before everything is written.
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let answer = read(client).await;
        if served {
            assert_served(&answer);
        } else {
            assert_refused(&answer, "400 Bad Request");
        }
    }
}

/// Whatever ends a request, nothing is answered that comes after it.
#[tokio::test]
async fn what_comes_after_the_request_is_nobodys() {
    let world = start(Fake::default()).await;
    let plain = LIST.to_owned();
    let told = LIST.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
    let chunked = LIST.replace(
        "\r\n\r\n",
        "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let old = "GET /latest/meta-data/iam/security-credentials/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for request in [plain, told, chunked, old.to_owned()] {
        for behind in [CREDENTIALS, "junk", "\r\n\r\n", "\0"] {
            let answer = world.send(format!("{request}{behind}")).await;
            assert!(
                answer.ends_with("\r\n\r\nmy-role"),
                "{request}{behind}: {answer}"
            );
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
        }
    }
    world.counted(r#"imds_requests_total{route="role_list",status="200"} 16"#);
    assert!(
        !world.page().contains("role_credentials"),
        "{}",
        world.page()
    );
    assert!(!world.page().contains("malformed"), "{}", world.page());
}

#[tokio::test]
async fn a_protocol_is_not_changed_in_the_middle() {
    let world = start(Fake::default()).await;
    let upgrade = "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = world
        .send(LIST.replace("\r\n\r\n", upgrade) + CREDENTIALS)
        .await;
    assert_served(&answer);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let answer = world
        .send(format!("CONNECT 10.0.0.1:80 HTTP/1.1\r\n\r\n{LIST}"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn chunks_that_are_none_are_no_body() {
    let world = start(Fake::default()).await;
    let head = LIST.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let many = |part: &str, times| part.repeat(times);
    for (body, status) in [
        ("0\r\n\r\n".to_owned(), "200 "),
        ("000\r\n\r\n".to_owned(), "200 "),
        (
            "5;name=value;other\r\nhello\r\n0;x\r\n\r\n".to_owned(),
            "200 ",
        ),
        ("0\r\nX: y\r\nContent-Length: 5\r\n\r\n".to_owned(), "200 "),
        (many("1\r\nx\r\n", 4096) + "0\r\n\r\n", "200 "),
        // Too much of something.
        (many("1\r\nx\r\n", 4097) + "0\r\n\r\n", "413 "),
        (
            "1001\r\n".to_owned() + &many("x", 0x1001) + "\r\n0\r\n\r\n",
            "413 ",
        ),
        (
            format!("5;{}\r\nhello\r\n0\r\n\r\n", many("x", 1 << 14)),
            "400 ",
        ),
        (many("1;xxxxx\r\nx\r\n", 4000) + "0\r\n\r\n", "400 "),
        (format!("0\r\n{}\r\n", many("X: y\r\n", 101)), "400 "),
        (format!("0\r\nX: {}\r\n\r\n", many("y", 1 << 14)), "400 "),
        // Sizes that are none.
        ("10000000000000000\r\n".to_owned(), "400 "),
        ("ffffffffffffffff0\r\n".to_owned(), "400 "),
        ("-1\r\n".to_owned(), "400 "),
        ("+5\r\nhello\r\n0\r\n\r\n".to_owned(), "400 "),
        ("0x5\r\nhello\r\n0\r\n\r\n".to_owned(), "400 "),
        (" 5\r\nhello\r\n0\r\n\r\n".to_owned(), "400 "),
        ("\r\n".to_owned(), "400 "),
        (";x\r\n".to_owned(), "400 "),
        ("0junk\r\n\r\n".to_owned(), "400 "),
        // Ends that are none.
        ("5\nhello\r\n0\r\n\r\n".to_owned(), "400 "),
        ("5\rhello\r\n0\r\n\r\n".to_owned(), "400 "),
        ("5;x\nhello\r\n0\r\n\r\n".to_owned(), "400 "),
        ("5\r\nhello0\r\n\r\n".to_owned(), "400 "),
        ("5\r\nhello\n0\r\n\r\n".to_owned(), "400 "),
        ("0\r\n\rx".to_owned(), "400 "),
        ("0\r\nno colon\r\n\r\n".to_owned(), "400 "),
        // The client goes silent: as large as it says, as much of it as there is, and the time that there is.
        ("ffffffffffffffff\r\nx".to_owned(), "400 "),
        ("5\r\nhel".to_owned(), "400 "),
        ("0\r\n".to_owned(), "400 "),
    ] {
        let shown: String = body.escape_debug().take(60).collect();
        let before = Instant::now();
        let answer = world.send(format!("{head}{body}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{shown}: {answer}"
        );
        assert!(
            answer.contains("\r\nConnection: close\r\n"),
            "{shown}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{shown}: {answer}");
        assert!(before.elapsed().as_secs() < 1, "{shown}");
    }
    world.quiet().await;
}

#[tokio::test]
async fn whoever_wants_to_be_told_to_continue_is_told() {
    let world = start(Fake::default()).await;
    let head = |version, more: &str| {
        format!(
            "GET /latest/meta-data/iam/security-credentials/ HTTP/{version}\r\nExpect: 100-continue\r\n{more}\r\n"
        )
    };
    for more in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = world.connect().await;
        client
            .write_all(head("1.1", more).as_bytes())
            .await
            .unwrap();
        let mut told = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        let body = if more.starts_with('C') {
            "hello"
        } else {
            "5\r\nhello\r\n0\r\n\r\n"
        };
        client.write_all(body.as_bytes()).await.unwrap();
        assert_served(&read(client).await);
    }
    // Who has no body need not be told; who has too much is told at once.
    assert_served(&world.send(head("1.1", "")).await);
    let answer = world.send(head("1.1", "Content-Length: 5000\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = world
        .send(head("1.0", "Content-Length: 5\r\n") + "hello")
        .await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
}

#[tokio::test]
async fn who_goes_in_the_middle_is_counted_and_who_never_began_is_not() {
    let world = start(Fake::default()).await;
    for (said, gone) in [
        ("", 0),
        ("G", 1),
        (LIST.strip_suffix("\n").unwrap(), 2),
        ("", 2),
    ] {
        let mut client = world.connect().await;
        client.write_all(said.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read(client).await, "", "{said:?}");
        let line = format!(r#"imds_broken_connections_total{{reason="gone"}} {gone}"#);
        if gone > 0 {
            world.counted(&line);
        }
    }
    world.quiet().await;
}

#[tokio::test]
async fn an_endless_head_comes_to_an_end() {
    let world = start(Fake::default()).await;
    for bytes in [
        format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101)),
        "G".repeat(1 << 20),
    ] {
        let answer = world.send(&bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer:?}"
        );
    }
    assert_served(&world.send(LIST).await);
}

#[tokio::test]
async fn the_bound_of_a_head_is_ours() {
    let world = start(Fake::default()).await;
    let with = |size| LIST.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(size)));
    assert_served(&world.send(with(HEAD / 2)).await);
    assert_refused(
        &world.send(with(HEAD)).await,
        "431 Request Header Fields Too Large",
    );
    world.counted(r#"imds_broken_connections_total{reason="malformed"} 1"#);
}

#[tokio::test]
async fn a_huge_body_is_not_read() {
    let world = start(Fake::default()).await;
    let told = LIST.replace("\r\n\r\n", "\r\nContent-Length: 1099511627776\r\n\r\n");
    let answer = world.send(&told).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");

    let chunked = LIST.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let answer = world
        .send(chunked + &chunk.repeat(1000) + "0\r\n\r\n")
        .await;
    // What was not read makes the kernel reset the connection, perhaps before the answer is seen.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413 "),
        "{answer:?}"
    );
    assert_served(&world.send(LIST).await);
}

#[tokio::test]
async fn whoever_goes_at_once_leaves_nothing_behind() {
    let world = start(Fake::default()).await;
    for _ in 0..50 {
        drop(world.connect().await);
        let mut client = world.connect().await;
        client.write_all(LIST.as_bytes()).await.unwrap();
    }
    assert_served(&world.send(LIST).await);
    world.quiet().await;
}

#[tokio::test]
async fn a_client_that_says_no_more_still_gets_its_answer() {
    let world = start(Fake::default()).await;
    world.state.0.send_replace(State::Fetching);
    let mut client = world.connect().await;
    client.write_all(LIST.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let later = async {
        time::sleep(Duration::from_millis(20)).await;
        world.state.0.send_replace(ready());
    };
    let (answer, ()) = tokio::join!(read(client), later);
    assert_served(&answer);
}

#[tokio::test]
async fn a_pod_with_too_many_connections_has_to_wait_for_its_own() {
    let world = start_with(Fake::default(), Limits { all: 9, pod: 2 }).await;
    let (first, _second) = (world.connect().await, world.connect().await);
    assert_eq!(world.send(LIST).await, "");
    world.counted(r#"imds_refused_connections_total{reason="too_many_of_pod"} 1"#);
    drop(first);
    while !world.page().contains("imds_open_connections 1\n") {
        tokio::task::yield_now().await;
    }
    assert_served(&world.send(LIST).await);
}

#[tokio::test]
async fn there_is_a_bound_for_all_together() {
    let world = start_with(Fake::default(), Limits { all: 2, pod: 9 }).await;
    let held = (world.connect().await, world.connect().await);
    assert_eq!(world.send(LIST).await, "");
    world.counted(r#"imds_refused_connections_total{reason="too_many"} 1"#);
    world.counted("imds_open_connections 2");
    drop(held);
    world.quiet().await;
    assert_served(&world.send(LIST).await);
}

#[tokio::test(start_paused = true)]
async fn accepting_outlives_errors() {
    let (server, _pods, registry) = server(Fake::default(), LIMITS);
    let flaky = Flaky {
        errors: AtomicUsize::new(20),
        listener: listener().await,
    };
    let address = flaky.listener.local_addr().unwrap();
    let (_signal, watch) = drain::channel();
    let before = Instant::now();
    let _accepting = tokio::spawn(Arc::new(server).accept(flaky, watch));

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(LIST.as_bytes()).await.unwrap();
    assert_served(&read(client).await);
    assert!(before.elapsed() > BACKOFF[1] * 10, "it is no busy loop");
    let mut page = String::new();
    text::encode(&mut page, &registry).unwrap();
    assert!(page.contains("imds_accept_errors_total 20\n"), "{page}");
}

#[tokio::test]
async fn every_listener_is_served() {
    let (server, _pods, _registry) = server(Fake::default(), LIMITS);
    let listeners = [listener().await, listener().await];
    let addresses = listeners.each_ref().map(|each| each.local_addr().unwrap());
    let (_signal, watch) = drain::channel();
    let _running = tokio::spawn(server.run(listeners, watch));
    for address in addresses {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(LIST.as_bytes()).await.unwrap();
        assert_served(&read(client).await);
    }
}

#[tokio::test]
async fn at_the_end_nobody_new_is_taken_and_everybody_else_is_answered() {
    let world = start(Fake::default()).await;
    world.state.0.send_replace(State::Fetching);
    let mut waiting = world.connect().await;
    waiting.write_all(LIST.as_bytes()).await.unwrap();
    while !world.page().contains("imds_open_connections 1\n") {
        tokio::task::yield_now().await;
    }

    let drained = tokio::spawn(world.signal.drain(Duration::from_secs(5)));
    world.running.await.unwrap();
    assert!(TcpStream::connect(world.address).await.is_err());
    assert!(!drained.is_finished(), "it waits for the one who waits");
    world.state.0.send_replace(ready());
    assert_served(&read(waiting).await);
    assert!(drained.await.unwrap());
}

#[tokio::test]
async fn who_was_connected_before_the_end_is_answered_after_it() {
    let (server, _pods, _registry) = server(Fake::default(), LIMITS);
    let listener = listener().await;
    // The kernel has these connections; nobody has accepted them.
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(LIST.as_bytes()).await.unwrap();
        clients.push(client);
    }
    let (signal, watch) = drain::channel();
    let drained = tokio::spawn(signal.drain(Duration::from_secs(5)));
    tokio::task::yield_now().await;
    server.run([listener], watch).await;
    for client in clients {
        assert_served(&read(client).await);
    }
    assert!(drained.await.unwrap());
}
