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
/// What a good answer begins with.
const GOOD: &[u8] = b"HTTP/1.1 200";

/// What an SDK asks before it asks for keys.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// `load --threads N --seconds N --expect BODY [--method METHOD] [--path PATH] [--header LINE]... [--sdk]
/// [--pause MICROSECONDS] [--to ADDRESS]`: each thread asks over a new connection as soon as its last one has ended, or
/// about so much later: between half of it and one and a half, so that the threads do not fall into step. So many connections there are at a time. With `--sdk` it asks for a token and for the role before,
/// over connections of their own, and the three of them count as one.
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let threads: u32 = args.required("--threads")?;
    let duration = Duration::from_secs(args.required("--seconds")?);
    let question = Question {
        to: args.to()?,
        requests: requests(args).iter().map(Request::bytes).collect(),
        expect: args.required("--expect")?,
        pause: Duration::from_micros(args.optional("--pause")?.unwrap_or_default()),
    };
    let mut all = Score::new();
    thread::scope(|scope| {
        let one = |thread| question.ask_for(duration, Pauses::new(question.pause, thread));
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || one(thread)))
            .collect();
        for thread in running {
            let score = thread.join();
            all.add(score.unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
    });
    Ok(all.tally())
}

/// What is asked, one after the other.
fn requests(args: &Args) -> Vec<Request> {
    let headers: Vec<_> = args.all("--header").map(str::to_owned).collect();
    let asked = Request {
        method: args.text("--method").unwrap_or("GET").to_owned(),
        headers,
        ..Request::get(args.path())
    };
    if !args.has("--sdk") {
        return vec![asked];
    }
    let roles = Request {
        path: ROLES.to_owned(),
        ..asked.clone()
    };
    vec![Request::token(), roles, asked]
}

/// What every thread asks.
#[derive(Debug)]
struct Question {
    to: SocketAddr,
    requests: Vec<Vec<u8>>,
    /// What the last answer must end with.
    expect: String,
    /// About how long a thread waits before it asks again.
    pause: Duration,
}

impl Question {
    fn ask_for(&self, duration: Duration, mut pauses: Pauses) -> Score {
        let mut score = Score::new();
        let mut answer = Vec::with_capacity(ROOM);
        let start = Instant::now();
        while start.elapsed() < duration {
            match self.ask(&mut answer, &mut score) {
                Ok(()) if answer.ends_with(self.expect.as_bytes()) => score.good(),
                Ok(()) => score.bad(String::from_utf8_lossy(&answer).into_owned()),
                Err(error) => score.failed(&error),
            }
            pauses.rest();
        }
        score
    }

    /// All of it. If there is an answer that is not good, it is the last one.
    fn ask(&self, answer: &mut Vec<u8>, score: &mut Score) -> io::Result<()> {
        let start = Instant::now();
        for request in &self.requests {
            self.ask_once(request, answer, score)?;
            if !answer.starts_with(GOOD) {
                return Ok(());
            }
        }
        score.answered(start.elapsed());
        Ok(())
    }

    fn ask_once(&self, request: &[u8], answer: &mut Vec<u8>, score: &mut Score) -> io::Result<()> {
        answer.clear();
        let socket = socket::short_lived(&self.to)?;
        let connect = Instant::now();
        socket::connect(&socket, &self.to)?;
        score.connected(connect.elapsed());
        let mut stream = TcpStream::from(socket);
        stream.write_all(request)?;
        stream.read_to_end(answer)?;
        Ok(())
    }
}

/// Pauses of different lengths, the same in every run.
#[derive(Debug)]
struct Pauses {
    usual: Duration,
    /// Between 0 and 1.
    phase: f64,
}

impl Pauses {
    /// Its multiples lie evenly between whole numbers (the golden ratio, less 1).
    const STEP: f64 = 0.618_033_988_749_895;

    fn new(usual: Duration, thread: u32) -> Self {
        let phase = (f64::from(thread) * Self::STEP).fract();
        Self { usual, phase }
    }

    fn rest(&mut self) {
        if self.usual.is_zero() {
            return;
        }
        thread::sleep(self.usual.mul_f64(0.5 + self.phase));
        self.phase = (self.phase + Self::STEP).fract();
    }
}
