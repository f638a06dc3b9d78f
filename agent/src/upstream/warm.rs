//! Keeps what every pod may read in memory, so that an outage of the service harms nobody.

use std::time::Duration;

use tokio::time::{self, Instant};

use crate::{chain::chain, config::MetadataAddr};

use super::{Error, Upstream};

/// It is read again after so long: a while before it is old.
const RENEWAL: Duration = Duration::from_mins(50);
/// The pause after the first failure; each further one is twice as long, ...
const PAUSE: Duration = Duration::from_millis(500);
/// ... up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Reads what is at `paths` again and again.
pub(super) async fn keep(upstream: &Upstream, paths: &'static [&'static str]) {
    let mut trouble = Trouble::none(upstream.service.addr());
    loop {
        let mut missing = paths.to_vec();
        let mut pause = PAUSE;
        while let Some(error) = read(upstream, &mut missing).await {
            trouble.goes_on(&error);
            time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        trouble.is_over();
        time::sleep(RENEWAL).await;
    }
}

/// Reads what is at the paths that are `missing`, and leaves those of them that still are. Says why, of the last.
async fn read(upstream: &Upstream, missing: &mut Vec<&'static str>) -> Option<Error> {
    let mut last = None;
    for path in std::mem::take(missing) {
        if let Err(error) = upstream.renew(path).await {
            missing.push(path);
            last = Some(error);
        }
    }
    last
}

/// A time in which something cannot be read: one line when it begins, and one when it is over.
struct Trouble<'a> {
    addr: &'a MetadataAddr,
    since: Option<Instant>,
}

impl<'a> Trouble<'a> {
    const fn none(addr: &'a MetadataAddr) -> Self {
        Self { addr, since: None }
    }

    fn goes_on(&mut self, error: &Error) {
        let error = chain(error);
        if self.since.is_some() {
            tracing::debug!(error, "again");
            return;
        }
        self.since = Some(Instant::now());
        tracing::warn!(
            error,
            "pods get no metadata of the instance but what is remembered"
        );
    }

    fn is_over(&mut self) {
        if let Some(since) = self.since.take() {
            let (addr, seconds) = (self.addr, since.elapsed().as_secs());
            tracing::info!(%addr, seconds, "the metadata service answers again");
        }
    }
}
