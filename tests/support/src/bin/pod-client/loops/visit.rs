//! One short connection of a loop: connect, ask, read, close.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    time::Instant,
};

use rustix::net::{bind, sockopt::set_socket_reuseaddr};

use crate::{
    args::Args,
    exchange::read_all,
    http::{Request, Response},
    socket,
    trouble::Trouble,
};

use super::score::Score;

/// What every connection of a loop does.
#[derive(Debug)]
pub(super) struct Visit {
    to: SocketAddr,
    /// A source port to keep to.
    from: Option<u16>,
    request: Vec<u8>,
    /// A text that each answer must have.
    expect: String,
}

impl Visit {
    /// As the command line says, from any port.
    pub(super) fn new(args: &Args) -> Result<Self, Trouble> {
        Ok(Self {
            to: args.to()?,
            from: None,
            request: Request::get(args.path()).bytes(),
            expect: args.text("--expect").unwrap_or("").to_owned(),
        })
    }

    /// From this port every time.
    pub(super) const fn keeping_port(mut self, port: u16) -> Self {
        self.from = Some(port);
        self
    }

    /// Makes one connection and counts it.
    pub(super) fn make(&self, score: &mut Score) {
        match self.ask(score) {
            Ok(answer) if answer.contains(&self.expect) => score.good(),
            Ok(answer) => score.bad(answer),
            Err(error) => score.failed(&error),
        }
    }

    fn ask(&self, score: &mut Score) -> io::Result<String> {
        let socket = socket::short_lived(&self.to)?;
        if let Some(port) = self.from {
            set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
        }
        let start = Instant::now();
        socket::connect(&socket, &self.to)?;
        score.connected(start.elapsed());
        let mut stream = TcpStream::from(socket);
        stream.write_all(&self.request)?;
        Ok(Response::parse(&read_all(stream)?).body)
    }
}
