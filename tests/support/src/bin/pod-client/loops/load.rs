//! How many answers can be had, and how long each takes: the same for every server, and cheap.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    panic, thread,
    time::{Duration, Instant},
};

use bpf2iam_support::client::Tally;

use crate::{args::Args, http::Request, socket, trouble::Trouble};

use super::score::Score;

/// What an answer needs at most; a longer one is read all the same.
const ROOM: usize = 16 << 10;

/// `load --threads N --seconds N --expect BODY [--path PATH] [--header LINE]... [--to ADDRESS]`: each thread asks over
/// a new connection as soon as its last one has ended. So many connections there are at a time.
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let threads: u32 = args.required("--threads")?;
    let duration = Duration::from_secs(args.required("--seconds")?);
    let mut request = Request::get(args.path());
    request.headers = args.all("--header").map(str::to_owned).collect();
    let question = Question {
        to: args.to()?,
        request: request.bytes(),
        expect: args.required("--expect")?,
    };
    let mut all = Score::new();
    thread::scope(|scope| {
        let one = || question.ask_for(duration);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        for thread in running {
            let score = thread.join();
            all.add(score.unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
    });
    Ok(all.tally())
}

/// What every connection asks.
#[derive(Debug)]
struct Question {
    to: SocketAddr,
    request: Vec<u8>,
    /// What every answer must end with.
    expect: String,
}

impl Question {
    fn ask_for(&self, duration: Duration) -> Score {
        let mut score = Score::new();
        let mut answer = Vec::with_capacity(ROOM);
        let start = Instant::now();
        while start.elapsed() < duration {
            match self.ask(&mut answer, &mut score) {
                Ok(()) if answer.ends_with(self.expect.as_bytes()) => score.good(),
                Ok(()) => score.bad(String::from_utf8_lossy(&answer).into_owned()),
                Err(error) => score.failed(&error),
            }
        }
        score
    }

    fn ask(&self, answer: &mut Vec<u8>, score: &mut Score) -> io::Result<()> {
        answer.clear();
        let start = Instant::now();
        let socket = socket::short_lived(&self.to)?;
        let connect = Instant::now();
        socket::connect(&socket, &self.to)?;
        score.connected(connect.elapsed());
        let mut stream = TcpStream::from(socket);
        stream.write_all(&self.request)?;
        stream.read_to_end(answer)?;
        score.answered(start.elapsed());
        Ok(())
    }
}
