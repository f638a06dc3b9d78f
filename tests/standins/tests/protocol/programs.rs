//! The three programs, as somebody uses them by hand.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::wire::{request, send, send_unix};

const IMDS: &str = env!("CARGO_BIN_EXE_imds-standin");
const API: &str = env!("CARGO_BIN_EXE_apiserver-standin");
const STS: &str = env!("CARGO_BIN_EXE_sts-standin");

/// Starts a program on a free port. Says what its first line was.
async fn start(program: &str, flags: &[&str]) -> (Child, String) {
    let mut child = Command::new(program)
        .args(["--listen", "127.0.0.1:0"])
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut line).await.unwrap();
    (child, line.trim_end().to_owned())
}

/// The address in a line such as `imds-standin ready on ADDR, control ...`.
fn address(line: &str) -> std::net::SocketAddr {
    let mut words = line.split([' ', ',']);
    words.find_map(|word| word.parse().ok()).unwrap()
}

#[tokio::test]
async fn imds_standin_says_when_it_is_ready_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("c.sock");
    let control = format!("unix:{}", socket.display());
    let flags = ["--tokens", "required", "--control", &control];
    let (_child, line) = start(IMDS, &flags).await;
    let addr = address(&line);
    assert_eq!(
        line,
        format!("imds-standin ready on {addr}, control {control}")
    );
    let get = request("GET", "/latest/meta-data/", "", "");
    assert_eq!(send(addr, &get).await.unwrap().status, 401);
    let requests = request("GET", "/requests", "", "");
    let seen = send_unix(&socket, &requests).await.unwrap().json();
    assert_eq!(seen[0]["path"], "/latest/meta-data/");
}

#[tokio::test]
async fn sts_standin_has_a_control_port_and_takes_rules_as_flags() {
    let flags = ["--throttle=2", "--control", "127.0.0.1:0"];
    let (_child, line) = start(STS, &flags).await;
    let (_, control) = line.split_once(", control ").unwrap();
    let rules = request("GET", "/rules", "", "");
    let rules = send(control.parse().unwrap(), &rules).await.unwrap().json();
    let expected = serde_json::json!([{"times": 2, "do": {"fault": {"error": "Throttling"}}}]);
    assert_eq!(rules, expected);
}

#[tokio::test]
async fn apiserver_standin_serves_what_its_control_port_is_given() {
    let flags = ["--control", "127.0.0.1:0", "--streaming-lists", "refused"];
    let (_child, line) = start(API, &flags).await;
    let (_, control) = line.split_once(", control ").unwrap();
    let object = r#"{"kind":"Namespace","metadata":{"name":"shop"}}"#;
    let put = request("PUT", "/objects", "", object);
    assert_eq!(
        send(control.parse().unwrap(), &put).await.unwrap().status,
        200
    );
    let get = request("GET", "/api/v1/namespaces/shop", "", "");
    let shop = send(address(&line), &get).await.unwrap().json();
    assert_eq!(shop["metadata"]["name"], "shop");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_ends_the_program() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for program in [IMDS, STS, API] {
        let mut command = Command::new(program);
        let output = command.args(["--listen", &taken]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{program}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(&format!("cannot listen on {taken}")),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn wrong_usage_has_a_status_of_its_own() {
    for (program, flags) in [
        (IMDS, &["--tokens", "never"][..]),
        (STS, &["--rule", "{}"]),
        (API, &["--history", "long"]),
    ] {
        let output = Command::new(program).args(flags).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{program}");
    }
}
