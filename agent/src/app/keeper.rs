//! Keeps the programs in place while the agent lives: attaches them anew where the pods' cgroup was made anew or somebody
//! took them away, and notices when another agent has taken over.
//!
//! While something is missing, or cannot be seen, the agent is not ready, and what is there stays.

use std::{mem, path::PathBuf};

use anyhow::bail;
use tokio::{
    sync::watch,
    time::{self, Duration, Instant, MissedTickBehavior},
};

use crate::{
    cgroup,
    digest::Digest,
    id::CgroupId,
    readiness::{Guard, Readiness},
    redirect::{Attached, Hold},
};

use super::{kernel::Kernel, report::Attachment};

/// How often it is looked whether the pods' cgroup is the one that we are attached to, and whether we are still obeyed. A
/// pod's first container takes longer.
const GLANCE: Duration = Duration::from_millis(100);

/// What is said when everything is attached again; why it was not.
const TAKEN: &str = "the programs were taken away by another hand; attached again";
const MADE_ANEW: &str = "the pods' cgroup was made anew; attached again";
const COMPLETE: &str = "all programs are attached again";

/// Another agent serves this node now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Displaced;

/// What is kept, and where.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    kernel: &'a mut Kernel,
    kubepods: PathBuf,
    /// The cgroup that was there when we attached.
    cgroup: Option<CgroupId>,
    attachment: watch::Sender<Option<Attachment>>,
    readiness: Readiness,
    /// Whether an attempt to attach has failed: then links are missing that nobody took away.
    incomplete: bool,
    /// Held while that is so, or while it cannot be seen what is there.
    unsure: Option<Guard>,
}

/// What a look has shown.
enum Found {
    /// Everything is in place, or will be.
    Well,
    /// Another agent serves.
    Other,
    /// Only a new start helps.
    Over(String),
}

impl<'a> Keeper<'a> {
    /// Keeps what `attachment` says at `kubepods`.
    pub(super) fn new(
        kernel: &'a mut Kernel,
        kubepods: PathBuf,
        attachment: watch::Sender<Option<Attachment>>,
        readiness: Readiness,
    ) -> Self {
        Self {
            kernel,
            cgroup: cgroup::id_of(&kubepods).ok(),
            kubepods,
            attachment,
            readiness,
            incomplete: false,
            unsure: None,
        }
    }

    /// Does so until it has to end.
    pub(super) async fn run(mut self) -> anyhow::Result<Displaced> {
        let warnings = Digest::default();
        let mut glances = time::interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = Instant::now();
        loop {
            glances.tick().await;
            if self.kernel.turn.is_displaced() {
                return Ok(Displaced);
            }
            if !self.kernel.turn.is_renewed() {
                bail!("what renews the lease has died");
            }
            if Instant::now() < look && self.is_same_cgroup() {
                continue;
            }
            look = Instant::now() + self.kernel.turn.period();
            match self.look() {
                Ok(Found::Well) if self.incomplete => {}
                Ok(Found::Well) => self.unsure = None,
                Ok(Found::Other) => return Ok(Displaced),
                // Whoever starts us anew has the pods protected again.
                Ok(Found::Over(why)) => bail!(why),
                // That we cannot look is no reason to leave the pods alone.
                Err(error) => {
                    let guard = || self.readiness.guard("the programs to be looked after");
                    self.unsure.get_or_insert_with(guard);
                    if let Some(count) = warnings.add("look") {
                        tracing::warn!(count, "cannot look after the programs: {error:#}");
                    }
                }
            }
        }
    }

    fn is_same_cgroup(&self) -> bool {
        let now = cgroup::id_of(&self.kubepods);
        now.is_ok_and(|now| self.cgroup == Some(now))
    }

    fn look(&mut self) -> anyhow::Result<Found> {
        let found = match self.kernel.hold(&self.kubepods)? {
            Hold::Whole => {
                self.incomplete = false;
                self.kernel.supersede_dead()?;
                Found::Well
            }
            Hold::Replaced => return Ok(Found::Other),
            Hold::Released if self.kernel.turn.is_replaced() => return Ok(Found::Other),
            Hold::Released => self.mend(TAKEN)?,
            Hold::CgroupGone if self.kubepods.is_dir() => self.mend(MADE_ANEW)?,
            Hold::CgroupGone => self.look_elsewhere()?,
        };
        self.kernel.inherit()?;
        Ok(found)
    }

    /// Something is missing: pods reach the real service, or will when we end. What cannot be attached keeps nothing else.
    fn mend(&mut self, why: &'static str) -> anyhow::Result<Found> {
        match self.kernel.mend(&self.kubepods) {
            Ok(Some(attached)) => {
                let again = mem::take(&mut self.incomplete);
                self.tell(&attached, if again { COMPLETE } else { why });
            }
            Ok(None) => {}
            Err(error) => {
                self.incomplete = true;
                return Err(error);
            }
        }
        Ok(Found::Well)
    }

    /// The kubelet may have been given another cgroup driver or root.
    fn look_elsewhere(&self) -> anyhow::Result<Found> {
        let gone = self.kubepods.display();
        match self.kernel.find_pods()? {
            Some(now) if now != self.kubepods => Ok(Found::Over(format!(
                "the pods' cgroup was {gone}, and is {} now; start the agent anew",
                now.display()
            ))),
            _ => bail!("there is no {gone} any more"),
        }
    }

    fn tell(&mut self, attached: &[Attached], what: &'static str) {
        tracing::warn!(cgroup = %self.kubepods.display(), "{what}");
        self.cgroup = cgroup::id_of(&self.kubepods).ok();
        let attachment = Attachment::new(self.kubepods.clone(), attached);
        self.attachment.send_replace(Some(attachment));
    }
}
