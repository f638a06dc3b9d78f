//! The agent with everything that it asks for in plain sight: kubectl speaks TLS for it, as the agent's own account.

use std::net::{Ipv4Addr, SocketAddr};

use bpf2iam_api::line::Line;
use bpf2iam_support::{
    process::Process,
    stage::{Agent, STS},
};
use serde_json::{Deserializer, Value, json};

use crate::scene::{PATIENCE, Scene};

/// Where kubectl listens.
const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);
/// What ends the first line of a request, but for the line's own end.
const HTTP: &str = " HTTP/1.1";
/// What begins it.
const METHODS: [&str; 5] = ["GET ", "POST ", "PATCH ", "PUT ", "DELETE "];

/// The lines from the agent to the API server and to STS.
pub(crate) struct Tapped {
    api: Line,
    sts: Line,
    _proxy: Process,
}

/// What the API server was asked.
#[derive(Debug)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// What came with it.
    pub(crate) body: Option<Value>,
}

impl Tapped {
    pub(crate) fn new(scene: &Scene) -> Self {
        let host = scene.stage.node().host();
        let mut proxy = host.command(scene.cluster.kubectl_program()).unwrap();
        proxy
            .env_clear()
            .env("HOME", scene.stage.scratch())
            .env("KUBECONFIG", scene.account.kubeconfig())
            .args(["proxy", "--port", &PROXY.port().to_string()]);
        let proxy = Process::spawn("kubectl proxy", proxy).unwrap();
        let serves = |line: &str| line.contains("Starting to serve");
        proxy.wait_for_line(serves, PATIENCE).unwrap();
        let network = scene.stage.node().netns();
        Self {
            api: Line::tap(network, PROXY).unwrap(),
            sts: Line::tap(network, STS).unwrap(),
            _proxy: proxy,
        }
    }

    /// Starts the agent, and waits until it knows all pods.
    pub(crate) fn start(&self, scene: &Scene, args: &[&str]) -> Agent {
        let url = |line: &Line| format!("http://{}", line.address().unwrap());
        let api = url(&self.api);
        let flags = ["--pods", "kube", "--api-server", &api];
        let mut command = scene.stage.agent(&[&flags[..], args].concat()).unwrap();
        command.env("AWS_ENDPOINT_URL_STS", url(&self.sts));
        scene.ready(Process::spawn("bpf2iam", command).unwrap())
    }

    /// What the API server was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.api
            .said()
            .iter()
            .flat_map(|said| requests(said))
            .collect()
    }

    /// What it was asked for tokens that are good for STS.
    pub(crate) fn token_requests(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| {
            let audiences = request.body.as_ref().map(|body| &body["spec"]["audiences"]);
            request.line.ends_with("/token") && audiences == Some(&json!(["sts.amazonaws.com"]))
        });
        requests
    }

    /// The tokens that STS was shown.
    pub(crate) fn shown(&self) -> Vec<String> {
        let said = self.sts.said().join("&");
        let values = said.split("WebIdentityToken=").skip(1);
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        values
            .filter_map(|value| value.split(|c| !is_token(c)).next())
            .map(str::to_owned)
            .collect()
    }
}

/// What one connection carried. A body ends where the next request begins, or never.
fn requests(said: &str) -> Vec<Request> {
    let parts: Vec<_> = said.split(HTTP).collect();
    let pairs = parts.windows(2);
    pairs
        .filter_map(|pair| {
            Some(Request {
                line: first_line(pair[0])?,
                body: body(pair[1]),
            })
        })
        .collect()
}

/// The last words that begin like a request.
fn first_line(text: &str) -> Option<String> {
    let starts = METHODS.iter().filter_map(|method| text.rfind(method));
    let (_, line) = text.split_at(starts.max()?);
    Some(line.trim_end_matches('?').to_owned())
}

fn body(rest: &str) -> Option<Value> {
    let (_, body) = rest.split_once("\r\n\r\n")?;
    let first = Deserializer::from_str(body).into_iter().next()?;
    first.ok()
}

#[test]
fn what_one_connection_carries_is_told_apart() {
    let said = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b?c HTTP/1.1\r\n\r\n{\"d\":1}GET /e HTTP/1.1\r\n\r\n";
    let requests = requests(said);
    let lines: Vec<_> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(lines, ["GET /a", "POST /b?c", "GET /e"]);
    assert_eq!(requests[1].body.as_ref().unwrap()["d"], 1);
}
