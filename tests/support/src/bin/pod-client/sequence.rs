//! What an SDK asks first, at a moment that is set: so a container can start whose process is there already.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bpf2iam_support::{
    client::{Sequence, Sequences},
    moment::Moment,
};
use serde_json::Value;

use crate::{
    args::Args,
    errno,
    exchange::read_all,
    http::{Request, Response},
    say, socket,
    trouble::{self, During as _, Trouble},
};

/// What it is called.
pub(crate) const NAME: &str = "sequence";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// `sequence [--to ADDRESS]`: says `waiting`, and asks at each [`Moment`] that a line of its input names. It reports when
/// there is no more input, so that it takes nothing from others who are still asking.
pub(crate) fn run(args: &Args) -> Option<Result<String, Trouble>> {
    (args.attempt() == NAME).then(|| all(args))
}

fn all(args: &Args) -> Result<String, Trouble> {
    let to = args.to()?;
    let mut sequences = Vec::new();
    say("waiting").during("report")?;
    for line in io::stdin().lines() {
        let line = line.during("input")?;
        let moment: Moment = line
            .parse()
            .map_err(|_wrong| Trouble::Usage(format!("no moment: {line}")))?;
        if Moment::now() > moment {
            return Err(Trouble::Usage(format!("{moment} has passed")));
        }
        moment.wait();
        sequences.push(Asking::from(moment).finish(to));
    }
    trouble::json(&Sequences { sequences })
}

/// A sequence on its way.
struct Asking {
    from: Moment,
    sequence: Sequence,
}

impl Asking {
    fn from(from: Moment) -> Self {
        let sequence = Sequence {
            began: Moment::now().since(from),
            ..Sequence::default()
        };
        Self { from, sequence }
    }

    fn finish(mut self, to: SocketAddr) -> Sequence {
        match self.keys(to) {
            Ok(key) => self.sequence.access_key_id = Some(key),
            Err(why) => self.sequence.failed = Some(why),
        }
        self.sequence.ended = Moment::now().since(self.from);
        self.sequence
    }

    fn keys(&mut self, to: SocketAddr) -> Result<String, String> {
        let token = self.ask("token", to, &Request::token())?;
        let read = |path: &str| Request::get(path).in_session(&token);
        let role = self.ask("role list", to, &read(ROLES))?;
        let keys = self.ask("credentials", to, &read(&format!("{ROLES}{role}")))?;
        let document: Option<Value> = serde_json::from_str(&keys).ok();
        let key = document.and_then(|document| document["AccessKeyId"].as_str().map(str::to_owned));
        key.ok_or_else(|| "credentials: no keys".to_owned())
    }

    /// The body of a good answer.
    fn ask(&mut self, what: &str, to: SocketAddr, request: &Request) -> Result<String, String> {
        let start = Moment::now();
        let answer = ask(to, request);
        let took: Duration = Moment::now().since(start);
        self.sequence.longest = self.sequence.longest.max(took);
        match answer {
            Ok(answer) if answer.status == Some(200) => Ok(answer.body),
            Ok(answer) => Err(format!("{what}: {}", answer.status.unwrap_or_default())),
            Err(error) => Err(format!("{what}: {}", errno::name(&error))),
        }
    }
}

fn ask(to: SocketAddr, request: &Request) -> io::Result<Response> {
    let socket = socket::short_lived(&to)?;
    socket::connect(&socket, &to)?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(&request.bytes())?;
    Ok(Response::parse(&read_all(stream)?))
}
