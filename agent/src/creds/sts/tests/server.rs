//! An HTTP server on loopback that says what STS says, to the byte where it matters. It has no clock.

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
    header::{AUTHORIZATION, DATE, HeaderValue},
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
    /// A token of the metadata service, good for six hours.
    Token(&'static str),
    /// Never answers.
    Nothing,
    /// Answers so, with a `Date`.
    Dated(&'static str, Box<Self>),
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

    /// The same, by a clock that says `date`.
    pub(super) fn dated(self, date: &'static str) -> Self {
        Self::Dated(date, Box::new(self))
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
    /// Method and target, as it was spelled.
    pub(super) line: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

type Journal = Arc<Mutex<Vec<Asked>>>;
type Script = Arc<dyn Fn(usize, &Asked) -> Answer + Send + Sync>;

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
        Self::run(Arc::new(move |number, _: &_| script(number))).await
    }

    /// A server that answers by what it is asked.
    pub(super) async fn of(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::run(Arc::new(move |_, asked: &_| script(asked))).await
    }

    async fn run(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&journal), script));
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

async fn accept(listener: TcpListener, journal: Journal, script: Script) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (journal, script) = (Arc::clone(&journal), Arc::clone(&script));
        let service = service_fn(move |request| {
            let (journal, script) = (Arc::clone(&journal), Arc::clone(&script));
            async move { Ok::<_, Infallible>(answer(request, &journal, &*script).await) }
        });
        let connection = http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    journal: &Journal,
    script: &(dyn Fn(usize, &Asked) -> Answer + Send + Sync),
) -> Response<Full<Bytes>> {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let asked = Asked {
        line,
        authorization,
        body,
    };
    let number = {
        let mut journal = journal.lock().unwrap();
        journal.push(asked.clone());
        journal.len() - 1
    };
    response(script(number, &asked)).await
}

async fn response(answer: Answer) -> Response<Full<Bytes>> {
    match answer {
        Answer::Http(status, body) => {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            response
        }
        Answer::Token(token) => {
            let mut response = Response::new(Full::new(Bytes::from_static(token.as_bytes())));
            let life = HeaderValue::from_static("21600");
            let headers = response.headers_mut();
            headers.insert("x-aws-ec2-metadata-token-ttl-seconds", life);
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
        Answer::Dated(date, answer) => {
            let mut response = Box::pin(response(*answer)).await;
            let date = HeaderValue::from_static(date);
            response.headers_mut().insert(DATE, date);
            response
        }
    }
}
