//! A service at the metadata addresses that tells each caller its own address.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bpf2iam_support::{
    Node,
    addresses::{METADATA_V4, METADATA_V6},
};
use rustix::net::{Shutdown, shutdown};

/// It listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    listeners: Vec<Arc<TcpListener>>,
    stop: Arc<AtomicBool>,
    datagrams: Arc<AtomicUsize>,
}

impl Server {
    /// TCP on three ports of every address of the node, UDP on port 80 of the metadata addresses.
    pub(crate) fn start(node: &Node) -> Self {
        let tcp = |port| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
        let udp = |address: SocketAddr| UdpSocket::bind(address).unwrap();
        let (listeners, sockets) = node
            .netns()
            .run(|| {
                let udp = [udp((METADATA_V4, 80).into()), udp((METADATA_V6, 80).into())];
                ([tcp(80), tcp(81), tcp(443)].map(Arc::new), udp)
            })
            .unwrap();
        let server = Self {
            listeners: listeners.to_vec(),
            stop: Arc::default(),
            datagrams: Arc::default(),
        };
        for listener in listeners {
            thread::spawn(move || accept(&listener));
        }
        for socket in sockets {
            let (stop, datagrams) = (Arc::clone(&server.stop), Arc::clone(&server.datagrams));
            thread::spawn(move || echo(&socket, &stop, &datagrams));
        }
        server
    }

    /// How many datagrams came.
    pub(crate) fn datagrams(&self) -> usize {
        self.datagrams.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for listener in &self.listeners {
            shutdown(listener, Shutdown::Both).unwrap();
        }
    }
}

/// What it says to `peer`.
pub(crate) fn greeting(peer: impl std::fmt::Display) -> String {
    format!("hello {peer}")
}

fn accept(listener: &TcpListener) {
    while let Ok((stream, peer)) = listener.accept() {
        thread::spawn(move || answer(stream, peer));
    }
}

fn answer(mut stream: TcpStream, peer: SocketAddr) -> Option<()> {
    let mut request: Vec<u8> = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend(&buffer[..read]);
    }
    let body = greeting(peer.ip().to_canonical());
    let answer = format!("HTTP/1.1 200 OK\r\nServer: none\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).ok()
}

fn echo(socket: &UdpSocket, stop: &AtomicBool, datagrams: &AtomicUsize) {
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut buffer = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            datagrams.fetch_add(1, Ordering::Relaxed);
            let answer = greeting(peer.ip());
            socket.send_to(answer.as_bytes(), peer).unwrap();
        }
    }
}
