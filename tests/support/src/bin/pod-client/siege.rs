//! A crowd of clients that connect as fast as they can, for as long as it takes, and what each of them gets when.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Range,
    panic,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bpf2iam_support::{
    client::{Spell, Spells},
    moment::Moment,
};

use crate::{
    args::Args,
    errno,
    exchange::read_all,
    http::{Request, Response},
    say, socket,
    trouble::{self, During as _, Trouble},
};

/// What it is called.
pub(crate) const NAME: &str = "siege";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Longer than that no outcome is one spell: so that it can be told when the last of many alike was.
const SPELL: Duration = Duration::from_millis(50);

/// `siege --threads N --expect ROLE --other ROLE [--to ADDRESS] [--pause MICROSECONDS]`: says `besieging`, and each thread asks
/// for its role and for the keys of the other one, the node's, in turns, until there is no more input.
pub(crate) fn run(args: &Args) -> Option<Result<String, Trouble>> {
    (args.attempt() == NAME).then(|| all(args))
}

fn all(args: &Args) -> Result<String, Trouble> {
    let threads: u32 = args.required("--threads")?;
    let besieger = Besieger::new(args)?;
    let over = AtomicBool::new(false);
    let mut all = Spells::default();
    thread::scope(|scope| {
        let one = || besieger.ask_until(&over);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let waited = say("besieging").and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
        over.store(true, Ordering::Relaxed);
        for thread in running {
            let spells = thread.join();
            all.spells
                .extend(spells.unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
        waited
    })
    .during("input")?;
    trouble::json(&all)
}

/// What every thread asks.
#[derive(Debug)]
struct Besieger {
    to: SocketAddr,
    expect: String,
    list: Vec<u8>,
    keys: Vec<u8>,
    pause: Duration,
}

impl Besieger {
    fn new(args: &Args) -> Result<Self, Trouble> {
        let other: String = args.required("--other")?;
        Ok(Self {
            to: args.to()?,
            expect: args.required("--expect")?,
            list: Request::get(ROLES).bytes(),
            keys: Request::get(&format!("{ROLES}{other}")).bytes(),
            pause: Duration::from_micros(args.optional("--pause")?.unwrap_or_default()),
        })
    }

    fn ask_until(&self, over: &AtomicBool) -> Vec<Spell> {
        let mut spells = Vec::new();
        while !over.load(Ordering::Relaxed) {
            for ask in [Self::ask_for_role, Self::ask_for_keys] {
                let begin = Moment::now();
                let outcome = ask(self).unwrap_or_else(|error| errno::name(&error));
                note(&mut spells, outcome, begin..Moment::now());
                thread::sleep(self.pause);
            }
        }
        spells
    }

    fn ask_for_role(&self) -> io::Result<String> {
        let answer = self.ask(&self.list)?;
        Ok(match (answer.status, answer.body) {
            (Some(200), body) if body == self.expect => Spells::OWN.to_owned(),
            (Some(200), body) if self.keys_are_of(&body) => Spells::NODE.to_owned(),
            (status, body) => other(status, &body),
        })
    }

    /// Whether the other role is called so.
    fn keys_are_of(&self, role: &str) -> bool {
        let path = format!("{ROLES}{role} ");
        self.keys
            .windows(path.len())
            .any(|text| text == path.as_bytes())
    }

    fn ask_for_keys(&self) -> io::Result<String> {
        let answer = self.ask(&self.keys)?;
        Ok(match answer.status {
            Some(404) => Spells::OWN.to_owned(),
            Some(200) => Spells::NODE.to_owned(),
            status => other(status, &answer.body),
        })
    }

    fn ask(&self, request: &[u8]) -> io::Result<Response> {
        let socket = socket::short_lived(&self.to)?;
        socket::connect(&socket, &self.to)?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(request)?;
        Ok(Response::parse(&read_all(stream)?))
    }
}

/// What is neither the one's answer nor the other's.
fn other(status: Option<u16>, body: &str) -> String {
    match status {
        Some(503) => format!("{} {body}", Spells::BUSY),
        status => format!("{status:?} {body}"),
    }
}

fn note(spells: &mut Vec<Spell>, outcome: String, took: Range<Moment>) {
    let Range { start, end } = took;
    match spells.last_mut() {
        Some(spell) if spell.outcome == outcome && start.since(spell.first) < SPELL => {
            spell.count += 1;
            spell.last = start;
            spell.end = end;
        }
        _ => spells.push(Spell {
            outcome,
            count: 1,
            first: start,
            last: start,
            end,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_ends_with_its_outcome_or_its_time() {
        let (begin, ms) = (Moment::now(), Duration::from_millis);
        let mut spells = Vec::new();
        for (outcome, after) in [
            ("own", 0),
            ("own", 1),
            ("EPERM", 2),
            ("own", 3),
            ("own", 53),
        ] {
            let at = begin.plus(ms(after));
            note(&mut spells, outcome.to_owned(), at..at.plus(ms(1)));
        }
        let seen: Vec<_> = spells
            .iter()
            .map(|spell| (spell.outcome.as_str(), spell.count, spell.last.since(begin)))
            .collect();
        assert_eq!(
            seen,
            [
                ("own", 2, ms(1)),
                ("EPERM", 1, ms(2)),
                ("own", 1, ms(3)),
                ("own", 1, ms(53))
            ]
        );
    }
}
