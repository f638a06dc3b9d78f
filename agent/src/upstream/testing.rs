//! What the tests of this part have in common: a service that says what a test wants, and somebody who asks it.

use std::{
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};

use crate::{clock::Clock, config::MetadataAddr};

use super::{Metrics, Upstream};

/// What every pod may read, as far as these tests go.
pub(super) const PINNED: &[&str] = &["meta-data/pinned"];

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// This is written, and the connection closed.
    Text(String),
    /// The same, after a while.
    Late(Duration, String),
    /// Nothing ever comes.
    Hang,
}

/// A 200 with this body.
pub(super) fn ok(body: &str) -> Reply {
    status("200 OK", &[], body)
}

/// A whole answer.
pub(super) fn status(status: &str, headers: &[&str], body: &str) -> Reply {
    let length = format!("Content-Length: {}", body.len());
    let head = [&[status, &length], headers].concat().join("\r\n");
    Reply::Text(format!("HTTP/1.1 {head}\r\n\r\n{body}"))
}

/// A token, as EC2 gives one.
pub(super) fn token(text: &str) -> Reply {
    status(
        "200 OK",
        &["X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600"],
        text,
    )
}

/// A service that gives tokens, and otherwise does as `script` says for the first line of a request.
pub(super) async fn giving_tokens(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> Scripted {
    let tokens = AtomicUsize::new(1);
    Scripted::start(move |head| {
        if head.starts_with("PUT ") {
            return token(&format!("token-{}", tokens.fetch_add(1, Ordering::Relaxed)));
        }
        script(head)
    })
    .await
}

/// A service on the loopback.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) addr: MetadataAddr,
    state: Arc<State>,
    accepts: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    heads: Mutex<Vec<String>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Scripted {
    /// One that does as `script` says for the head of a request.
    pub(super) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = addr_of(&listener);
        let state = Arc::<State>::default();
        let (shared, script) = (Arc::clone(&state), Arc::new(script));
        let accepts = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (state, script) = (Arc::clone(&shared), Arc::clone(&script));
                tokio::spawn(async move { state.serve(stream, &*script).await });
            }
        });
        Self {
            addr,
            state,
            accepts,
        }
    }

    /// The requests so far, each with all its headers.
    pub(super) fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    /// Methods and targets of the requests so far.
    pub(super) fn lines(&self) -> Vec<String> {
        let heads = self.heads();
        let lines = heads.iter().map(|head| head.lines().next().unwrap());
        lines
            .map(|line| line.trim_end_matches(" HTTP/1.1").to_owned())
            .collect()
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.state.heads.lock().unwrap().clear();
    }

    /// The largest number of requests that were open at a time.
    pub(super) fn most(&self) -> usize {
        self.state.most.load(Ordering::Relaxed)
    }

    /// Ends it: nobody is there any more.
    pub(super) async fn stop(self) {
        self.accepts.abort();
        assert!(self.accepts.await.unwrap_err().is_cancelled());
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream, script: &(impl Fn(&str) -> Reply + Sync)) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
        let head = read_head(&mut stream).await;
        let reply = script(&head);
        self.heads.lock().unwrap().push(head);
        if let Reply::Late(pause, _) = &reply {
            time::sleep(*pause).await;
        }
        match reply {
            // Whoever has read enough goes away.
            Reply::Text(text) | Reply::Late(_, text) => {
                drop(stream.write_all(text.as_bytes()).await);
            }
            Reply::Hang => wait_for_the_end(&mut stream).await,
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_gone) => return future::pending().await,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn wait_for_the_end(stream: &mut TcpStream) {
    let mut more = [0];
    // Whoever waited has gone, in one way or another.
    let _gone = stream.read(&mut more).await.is_ok();
}

fn addr_of(listener: &TcpListener) -> MetadataAddr {
    let socket = listener.local_addr().unwrap().to_string();
    socket.parse().ok().unwrap()
}

/// Where nobody is.
pub(super) async fn nobody() -> MetadataAddr {
    addr_of(&TcpListener::bind("127.0.0.1:0").await.unwrap())
}

/// Somebody who asks the service at `addr`, and what is counted.
pub(super) fn upstream(addr: &MetadataAddr) -> (Upstream, Metrics) {
    let metrics = Metrics::new();
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let upstream = Upstream::remembering(PINNED, addr.clone(), clock, metrics.clone());
    (upstream, metrics)
}

/// Lets time go by, and nothing else.
pub(super) async fn later(by: Duration) {
    time::pause();
    time::advance(by).await;
    time::resume();
}
