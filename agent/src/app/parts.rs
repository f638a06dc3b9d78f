//! The tasks that the agent is made of.
//!
//! Each has a name and holds the drain while it works. One that ends before it was told to, takes the agent with it:
//! half an agent would be worse than none.

use std::fmt;

use anyhow::anyhow;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument as _;

/// The running tasks.
#[derive(Debug, Default)]
pub(super) struct Parts {
    tasks: JoinSet<anyhow::Result<()>>,
    names: Vec<(Id, &'static str)>,
}

impl Parts {
    /// Starts a part that ends, if all goes well, only when it is told to.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let span = tracing::debug_span!("part", name);
        let task = self.tasks.spawn(work.instrument(span));
        self.names.push((task.id(), name));
    }

    /// Waits for a part to end, and says which and how. For ever, while all of them live.
    pub(super) async fn died(&mut self) -> anyhow::Error {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, Ok(())))) => anyhow!("{} ended", self.name(id)),
            Some(Ok((id, Err(error)))) => error.context(format!("{} failed", self.name(id))),
            Some(Err(error)) => anyhow!("{} {}", self.name(error.id()), How(&error)),
            None => std::future::pending().await,
        }
    }

    fn name(&self, id: Id) -> &'static str {
        let known = self.names.iter().find(|(of, _)| *of == id);
        known.map_or("a part of the agent", |(_, name)| name)
    }
}

/// How a task ended that did not return.
struct How<'a>(&'a JoinError);

impl fmt::Display for How<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_panic() {
            "panicked"
        } else {
            "was aborted"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_of(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> String {
        let mut parts = Parts::default();
        parts.spawn("something that lives", std::future::pending());
        parts.spawn("the part", work);
        format!("{:#}", parts.died().await)
    }

    #[tokio::test]
    async fn a_part_that_ends_is_named_with_what_it_died_of() {
        assert_eq!(end_of(async { Ok(()) }).await, "the part ended");
        assert_eq!(
            end_of(async { Err(anyhow!("full disk")) }).await,
            "the part failed: full disk"
        );
        assert_eq!(end_of(async { panic!("ouch") }).await, "the part panicked");
    }
}
