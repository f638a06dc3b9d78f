//! A line to the API server can be held, and those who talk over it can be disconnected.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use bpf2iam_api::Cluster;
use bpf2iam_support::{Node, Options};

/// Longer than any single thing takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Shorter than it takes to be sure, and longer than an answer usually takes.
const MOMENT: Duration = Duration::from_millis(200);

/// The API server speaks TLS only, and says so in plain text.
const QUESTION: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

fn ask(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(QUESTION).unwrap();
    assert_eq!(status(stream), "HTTP/1.0 400");
}

fn status(stream: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_held_comes_later_and_a_line_outlives_its_connections() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let node = Node::create(Options::default()).unwrap();
    let line = cluster.line_from(node.netns()).unwrap();
    let near = line.address().unwrap();
    let call = || node.netns().run(|| TcpStream::connect(near)).unwrap();
    let mut stream = call().unwrap();
    line.hold();
    stream.write_all(QUESTION).unwrap();
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let held = stream.read(&mut [0]).unwrap_err();
    assert_eq!(held.kind(), ErrorKind::WouldBlock);

    line.release();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.0 400");

    let mut idle = call().unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&mut call().unwrap()); // calls are taken one after the other
    line.disconnect();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    ask(&mut call().unwrap());

    drop(line);
    assert_eq!(call().unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
