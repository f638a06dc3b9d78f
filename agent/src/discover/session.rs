//! A short talk with the metadata service: a token, and what it opens.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    config::MetadataAddr,
    upstream::{
        Failure,
        ask::{self, TOKEN_PATH, Token},
        http::{self, Bounds},
    },
};

/// The service answers within a millisecond, unless it is overloaded.
const ANSWER: Duration = Duration::from_secs(2);
/// What we ask for has some hundred bytes.
const LONGEST: usize = 16 << 10;
/// So long lives the token.
const LIFE: Duration = Duration::from_mins(1);

/// A service that gave us a token.
pub(super) struct Session<'a> {
    addr: &'a MetadataAddr,
    token: Token,
}

impl<'a> Session<'a> {
    /// Asks for a token.
    pub(super) async fn open(addr: &'a MetadataAddr) -> Result<Self, Failure> {
        let question = ask::for_a_token(addr, LIFE)?;
        let answer = http::send(addr, &TOKEN_PATH.into(), question, bounds()).await?;
        let token = ask::token(&answer, Instant::now(), LIFE)?;
        Ok(Self { addr, token })
    }

    /// What is at `path`, if anything is.
    pub(super) async fn get(&self, path: &'static str) -> Result<Option<Bytes>, Failure> {
        let what = path.into();
        let token = Some(self.token.value());
        let question = ask::for_target(self.addr, &what, path, token)?;
        let answer = http::send(self.addr, &what, question, bounds()).await?;
        ask::found(what, answer)
    }
}

fn bounds() -> Bounds {
    Bounds {
        connect: ANSWER,
        end: Instant::now() + ANSWER,
        size: LONGEST,
    }
}
