//! Keeps the programs in place while the agent lives: attaches them anew where the pods' cgroup was made
//! anew, and notices when another agent has taken over.

use std::path::PathBuf;

use anyhow::bail;
use tokio::{
    sync::watch,
    time::{self, Duration, Instant, MissedTickBehavior},
};

use crate::{
    cgroup,
    digest::Digest,
    id::CgroupId,
    redirect::{Attached, Hold},
};

use super::{kernel::Kernel, report::Attachment};

/// How often it is looked whether the pods' cgroup is the one that we are attached to, and whether we are still obeyed. A
/// pod's first container takes longer.
const GLANCE: Duration = Duration::from_millis(100);

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
    /// Whether the last attempt to attach has failed: then links are missing that nobody took away.
    incomplete: bool,
}

impl<'a> Keeper<'a> {
    /// Keeps what `attachment` says at `kubepods`.
    pub(super) fn new(
        kernel: &'a mut Kernel,
        kubepods: PathBuf,
        attachment: watch::Sender<Option<Attachment>>,
    ) -> Self {
        Self {
            kernel,
            cgroup: cgroup::id_of(&kubepods).ok(),
            kubepods,
            attachment,
            incomplete: false,
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
            if Instant::now() < look && self.is_same_cgroup() {
                continue;
            }
            look = Instant::now() + self.kernel.turn.period();
            match self.look() {
                Ok(Hold::Released) if self.kernel.turn.is_superseded() => return Ok(Displaced),
                // Whoever starts us anew has the pods protected again.
                Ok(Hold::Released) => bail!("the programs were taken away by another hand"),
                Ok(Hold::Whole | Hold::CgroupGone) => {}
                // That we cannot look is no reason to leave the pods alone.
                Err(error) => {
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

    fn look(&mut self) -> anyhow::Result<Hold> {
        self.kernel.inherit()?;
        match self.kernel.hold(&self.kubepods)? {
            Hold::Released if self.incomplete && !self.kernel.turn.is_superseded() => {}
            Hold::CgroupGone => {}
            hold @ (Hold::Whole | Hold::Released) => return Ok(hold),
        }
        self.attach()?;
        Ok(Hold::CgroupGone)
    }

    /// The pods' cgroup was removed, and perhaps made anew: the links lead to the one that is gone.
    fn attach(&mut self) -> anyhow::Result<()> {
        if !self.kubepods.is_dir() {
            bail!("there is no {} any more", self.kubepods.display());
        }
        let attached = self.kernel.attach_anew(&self.kubepods);
        self.incomplete = attached.is_err();
        if let Some(attached) = attached? {
            self.tell(&attached);
        }
        Ok(())
    }

    fn tell(&mut self, attached: &[Attached]) {
        tracing::warn!(cgroup = %self.kubepods.display(), "the pods' cgroup was made anew; attached again");
        self.cgroup = cgroup::id_of(&self.kubepods).ok();
        let attachment = Attachment::new(self.kubepods.clone(), attached);
        self.attachment.send_replace(Some(attachment));
    }
}
