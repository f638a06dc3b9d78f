//! An HTTP server on loopback that says what STS says, to the byte where it matters.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Answers with this status and body.
    Http(StatusCode, Bytes),
    /// Is busy, and asks to come back in a minute.
    Later,
    /// Never answers.
    Nothing,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Http(StatusCode::from_u16(status).unwrap(), body.into())
    }

    /// Keys that last to one o'clock.
    pub(super) fn success() -> Self {
        Self::new(200, SUCCESS)
    }

    /// The same keys, for a web identity.
    pub(super) fn success_of_web_identity() -> Self {
        Self::new(
            200,
            SUCCESS.replace("AssumeRoleRes", "AssumeRoleWithWebIdentityRes"),
        )
    }

    /// An error as STS writes it.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>{code}</Code>
    <Message>{message}</Message>
  </Error>
  <RequestId>11111111-2222-3333-4444-555555555555</RequestId>
</ErrorResponse>
"#
        );
        Self::new(status, body)
    }
}

const SUCCESS: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLE:node-1</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/cart/node-1</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAEXAMPLE</AccessKeyId>
      <SecretAccessKey>pod-secret</SecretAccessKey>
      <SessionToken>pod-token</SessionToken>
      <Expiration>2026-01-01T01:00:00Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata>
    <RequestId>11111111-2222-3333-4444-555555555555</RequestId>
  </ResponseMetadata>
</AssumeRoleResponse>
"#;

/// What came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) authorization: String,
    pub(super) body: String,
}

type Journal = Arc<Mutex<Vec<Asked>>>;

/// Runs until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    journal: Journal,
    _tasks: JoinSet<()>,
}

impl Server {
    /// A server that answers the n-th request with `script(n)`.
    pub(super) async fn start(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&journal), Arc::new(script)));
        Self {
            address,
            journal,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.journal.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    journal: Journal,
    script: Arc<dyn Fn(usize) -> Answer + Send + Sync>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (journal, script) = (Arc::clone(&journal), Arc::clone(&script));
        let service = service_fn(move |request| {
            let (journal, script) = (Arc::clone(&journal), Arc::clone(&script));
            async move { Ok::<_, Infallible>(answer(request, &journal, &*script).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    journal: &Journal,
    script: &(dyn Fn(usize) -> Answer + Send + Sync),
) -> Response<Full<Bytes>> {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let number = {
        let mut journal = journal.lock().unwrap();
        journal.push(Asked {
            authorization,
            body,
        });
        journal.len() - 1
    };
    match script(number) {
        Answer::Http(status, body) => {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            response
        }
        Answer::Later => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            let minute = HeaderValue::from_static("60000");
            response.headers_mut().insert("x-amz-retry-after", minute);
            response
        }
        Answer::Nothing => std::future::pending().await,
    }
}
