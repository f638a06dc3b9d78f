//! Keeps the programs in place while the agent lives: attaches them anew where the pods' cgroup was made
//! anew, and notices when another agent has taken over.

use std::path::PathBuf;

use anyhow::bail;
use tokio::{sync::watch, time};

use crate::{digest::Digest, redirect::Hold};

use super::{kernel::Kernel, report::Attachment};

/// Another agent serves this node now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Displaced;

/// What is kept, and where.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    pub(super) kernel: &'a mut Kernel,
    pub(super) kubepods: PathBuf,
    pub(super) attachment: watch::Sender<Option<Attachment>>,
}

impl Keeper<'_> {
    /// Does so until it has to end.
    pub(super) async fn run(mut self) -> anyhow::Result<Displaced> {
        let warnings = Digest::default();
        let mut ticks = time::interval(self.kernel.period());
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.kernel.is_displaced() {
                return Ok(Displaced);
            }
            match self.look() {
                Ok(Hold::Released) if self.kernel.is_superseded() => return Ok(Displaced),
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

    fn look(&mut self) -> anyhow::Result<Hold> {
        self.kernel.inherit()?;
        let hold = self.kernel.hold(&self.kubepods)?;
        if hold == Hold::CgroupGone {
            self.attach()?;
        }
        Ok(hold)
    }

    /// The pods' cgroup was removed, and perhaps made anew: the links lead to the one that is gone.
    fn attach(&mut self) -> anyhow::Result<()> {
        if !self.kubepods.is_dir() {
            bail!("there is no {} any more", self.kubepods.display());
        }
        let Some(attached) = self.kernel.attach_anew(&self.kubepods)? else {
            return Ok(());
        };
        tracing::warn!(cgroup = %self.kubepods.display(), "the pods' cgroup was made anew; attached again");
        let attachment = Attachment::new(self.kubepods.clone(), &attached);
        self.attachment.send_replace(Some(attachment));
        Ok(())
    }
}
