//! What the answer is, and when it becomes another.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use bpf2iam_support::{
    client::{Change, Tally},
    moment::Moment,
};

use crate::{
    args::Args,
    errno,
    exchange::read_all,
    http::{Request, Response},
    socket,
    trouble::Trouble,
};

/// Between two questions: little to what is asked about, and it leaves the machine to others.
const PAUSE: Duration = Duration::from_millis(1);

/// `follow --seconds N [--path PATH] [--to ADDRESS]`: asks over and over again.
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let duration = Duration::from_secs(args.required("--seconds")?);
    let (to, request) = (args.to()?, Request::get(args.path()).bytes());
    let mut tally = Tally::default();
    let start = Instant::now();
    while start.elapsed() < duration {
        let answer = ask(&to, &request).unwrap_or_else(|error| errno::name(&error));
        let at = Moment::now().nanoseconds();
        tally.ok += 1;
        if tally
            .changes
            .last()
            .is_none_or(|last| last.answer != answer)
        {
            tally.changes.push(Change { at, answer });
        }
        thread::sleep(PAUSE);
    }
    tally.seconds = start.elapsed().as_secs_f64();
    Ok(tally)
}

/// The body of a good answer, the status of another.
fn ask(to: &SocketAddr, request: &[u8]) -> io::Result<String> {
    let socket = socket::short_lived(to)?;
    socket::connect(&socket, to)?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(request)?;
    let answer = Response::parse(&read_all(stream)?);
    Ok(match answer.status {
        None | Some(200) => answer.body,
        Some(status) => status.to_string(),
    })
}
