//! Whose turn it is on a node with several agents: one starts at a time, and one serves.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    config::Lifetime,
    control::Standing,
    redirect::{Lease, Lock, Pins, Target, Us, pins},
};

use super::{doors::Bound, renewal::Renewal};

/// How often it is tried to be the agent that starts, while another one does, and looked whether the one before us lives.
const TURN: Duration = Duration::from_millis(50);

/// How often the lease is renewed at least.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long an agent that was replaced may take to finish before another one may start all the same.
const HEIR: Duration = Duration::from_secs(30);

/// Our place among the agents of this node. It is known, and can be taken, before anything is loaded.
#[derive(Debug)]
pub(super) struct Turn {
    pins: Pins,
    us: Us,
    lifetime: Lifetime,
    /// Held until the programs obey us and the agent before us has finished: one agent starts at a time.
    starting: Option<Lock>,
    /// Held by the agent that serves.
    serving: Option<Lock>,
    reign: Option<Reign>,
}

/// From when the programs obey us, or did.
#[derive(Debug)]
struct Reign {
    since: Instant,
    lease: Lease,
    renewal: Renewal,
}

impl Turn {
    /// Waits until we may start.
    pub(super) async fn wait(lifetime: &Lifetime) -> anyhow::Result<Self> {
        let (pins, starting) = turn(&lifetime.pin_dir).await?;
        let serving = vacancy(&pins).await.inspect_err(|_| pins.remove_empty())?;
        Ok(Self {
            pins,
            us: Us::new(),
            lifetime: lifetime.clone(),
            starting: Some(starting),
            serving,
            reign: None,
        })
    }

    /// Where what outlives us is pinned.
    pub(super) const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Which agent we are.
    pub(super) const fn us(&self) -> &Us {
        &self.us
    }

    /// How we stand to the agent before us, if there is one, of our version or another one.
    pub(super) fn standing(&self) -> Standing {
        if self.serving.is_none() || self.another_version_lives() {
            Standing::Successor
        } else {
            Standing::Alone
        }
    }

    /// Whether an agent of another version lives.
    pub(super) fn another_version_lives(&self) -> bool {
        is_other_locked(&self.pins)
    }

    /// Whether one lives and has attached its programs: it takes ours away then.
    pub(super) fn is_replaced(&self) -> bool {
        let others = self.pins.others().unwrap_or_default();
        let mut others = others.iter();
        others.any(|dir| is_locked(dir) && Pins::in_dir(dir).attached())
    }

    /// Waits until the agent before us is gone, if there is one.
    pub(super) fn vacancy(&self) -> impl Future<Output = ()> + use<> {
        let (pins, ours) = (self.pins.clone(), self.serving.is_some());
        async move {
            while !ours && is_locked(pins.dir()) || is_other_locked(&pins) {
                tokio::time::sleep(TURN).await;
            }
        }
    }

    /// Where programs are attached for which no agent answers any more, they obey us from now on: connects wait at our
    /// doors rather than being refused.
    pub(super) fn step_in(&mut self, bound: &Bound) -> anyhow::Result<()> {
        if self.serving.is_none() {
            self.serving = lock(self.pins.dir())?;
        }
        if self.serving.is_some() && self.pins.attached() {
            self.reign(bound)?;
        }
        Ok(())
    }

    /// From now on the programs obey us, unless they do already: connects go to where we listen.
    pub(super) fn reign(&mut self, bound: &Bound) -> anyhow::Result<()> {
        if self.reign.is_some() {
            return Ok(());
        }
        let length = self.lifetime.lease.get();
        let mut lease = Lease::open(&self.pins, &self.us)?;
        let renewed = Lease::open(&self.pins, &self.us)?;
        lease.switch(target(bound, &self.lifetime), length)?;
        self.reign = Some(Reign {
            since: Instant::now(),
            lease,
            renewal: Renewal::begin(renewed, length, self.period()),
        });
        Ok(())
    }

    /// Whether the programs obey us, or did.
    pub(super) const fn has_served(&self) -> bool {
        self.reign.is_some()
    }

    /// Whether the programs obey us and no agent is there besides.
    pub(super) const fn serves_alone(&self) -> bool {
        self.serving.is_some() && self.reign.is_some()
    }

    /// Whether the programs obey us.
    pub(super) fn is_obeyed(&self) -> anyhow::Result<bool> {
        match &self.reign {
            Some(reign) => Ok(reign.lease.is_ours()?),
            None => Ok(false),
        }
    }

    /// Whether the programs obeyed us, and obey another agent now.
    pub(super) fn is_displaced(&self) -> bool {
        self.has_served() && !self.is_obeyed().unwrap_or(true)
    }

    /// Whether the lease is still renewed, if we serve.
    pub(super) fn is_renewed(&self) -> bool {
        let renewal = self.reign.as_ref().map(|reign| &reign.renewal);
        renewal.is_none_or(Renewal::is_alive)
    }

    /// How often the lease is renewed.
    pub(super) fn period(&self) -> Duration {
        (self.lifetime.lease.get() / 10).min(RENEWAL)
    }

    /// How long a node may be without an agent before that is not only a restart.
    pub(super) fn grace(&self) -> Duration {
        self.lifetime.lease.get() * 2
    }

    /// Takes the place of the agent before us when that has finished. Says whether it has done so just now. While another
    /// one starts, nothing is changed.
    pub(super) fn inherit(&mut self) -> anyhow::Result<bool> {
        if self.serving.is_some() || !self.begin_change()? {
            return Ok(false);
        }
        self.serving = lock(self.pins.dir())?;
        Ok(self.serving.is_some())
    }

    /// Another one may start, once the agent before us has finished or had long enough.
    pub(super) fn let_others_start(&mut self) {
        let reign = self.reign.as_ref();
        let waited = reign.is_some_and(|reign| reign.since.elapsed() > HEIR);
        if self.serving.is_some() || waited {
            self.starting = None;
        }
    }

    /// Makes sure that no other agent starts while we change what is pinned, and that it is ours to be changed. If not,
    /// it says so, and it may be tried again.
    pub(super) fn begin_change(&mut self) -> anyhow::Result<bool> {
        if self.starting.is_none() {
            self.starting = lock(self.pins.root())?;
        }
        Ok(self.starting.is_some() && self.is_obeyed()?)
    }

    /// Somebody may have taken away the directories of what is pinned, and our locks with them: makes them anew.
    pub(super) fn restore(&mut self) -> anyhow::Result<()> {
        Pins::make_root(self.pins.root())?;
        self.pins = Pins::open(self.pins.root())?;
        self.starting = self.starting.take().filter(Lock::is_current);
        let lost = self.serving.take_if(|lock| !lock.is_current());
        if lost.is_some() {
            self.serving = lock(self.pins.dir())?;
        }
        Ok(())
    }

    /// Another agent serves now, or there is to be none, and knows by this that we have finished.
    pub(super) fn retire(&mut self) {
        (self.starting, self.serving) = (None, None);
    }

    /// Whether any agent serves, of our version or another one.
    pub(super) fn is_served(&self) -> bool {
        is_locked(self.pins.dir()) || self.another_version_lives()
    }
}

impl Drop for Turn {
    /// An agent that never attached anything leaves nothing behind.
    fn drop(&mut self) {
        if self.starting.is_some() {
            clean_up(&self.pins, self.serving.is_some());
        }
    }
}

/// Where connects are to go.
fn target(bound: &Bound, lifetime: &Lifetime) -> Target {
    let mut target = Target {
        when_gone: lifetime.when_gone,
        ..Target::default()
    };
    for listener in &bound.listeners {
        match listener {
            SocketAddr::V4(v4) => target.ip4 = Some(*v4.ip()),
            SocketAddr::V6(v6) => target.ip6 = Some(*v6.ip()),
        }
        target.port = listener.port();
    }
    target
}

/// Waits for our turn to start.
async fn turn(pin_dir: &Path) -> anyhow::Result<(Pins, Lock)> {
    let mut said = false;
    loop {
        // The rest only with the lock: whoever has it may be removing everything, this directory too.
        Pins::make_root(pin_dir)?;
        match Lock::try_take(pin_dir) {
            Ok(Some(lock)) => return Ok((Pins::open(pin_dir)?, lock)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Pins::at(pin_dir).remove_empty();
                return Err(error).with_context(|| format!("cannot lock {}", pin_dir.display()));
            }
            Ok(None) | Err(_) => {}
        }
        if !said {
            tracing::warn!(pin_dir = %pin_dir.display(), "another agent is starting on this node; waiting for it");
            said = true;
        }
        tokio::time::sleep(TURN).await;
    }
}

/// The lock of the one who serves, unless somebody does. Who stands by takes it now and then, for a moment.
async fn vacancy(pins: &Pins) -> anyhow::Result<Option<Lock>> {
    for _ in 0..3 {
        if let Some(lock) = lock(pins.dir())? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(TURN).await;
    }
    lock(pins.dir())
}

/// Whether another process holds the lock. What cannot be told is taken for a yes.
fn is_locked(dir: &Path) -> bool {
    match Lock::try_take(dir) {
        Ok(taken) => taken.is_none(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Takes a lock; `None` while another process holds it.
fn lock(dir: &Path) -> anyhow::Result<Option<Lock>> {
    Lock::try_take(dir).with_context(|| format!("cannot lock {}", dir.display()))
}

/// Takes away the maps of an agent that never attached anything, if there is no other.
fn clean_up(pins: &Pins, alone: bool) {
    if !alone || pins.attached() {
        return;
    }
    if let Err(error) = pins::remove_version(pins.dir()) {
        tracing::warn!("{:#}", anyhow::Error::from(error));
    }
    // Another version may have something there.
    let _kept = std::fs::remove_dir(pins.root()).is_ok();
}

/// Whether an agent of another version serves.
fn is_other_locked(pins: &Pins) -> bool {
    let others = pins.others().unwrap_or_default();
    others.iter().any(|dir| is_locked(dir))
}
