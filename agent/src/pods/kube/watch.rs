//! Follows one kind of objects at the API server, for ever.
//!
//! All objects are listed first: as a stream where the server can, so that neither side holds the whole list, else in
//! pages. Either list is as of now, never from a cache that may be behind. Then each change is told, in order. If the
//! connection ends, the next one goes on where it ended; if that cannot be, all is listed again. Nothing here keeps an
//! object.
//!
//! This is not [`kube`]'s own watcher: that one asks anew without a pause when a server hangs up at once, lists as of
//! any time in the past, waits for ever for the end of a stream that an old server does not know, and does not notice
//! that a restored etcd counts from an earlier version.

use std::{convert::Infallible, fmt, future::poll_fn, pin::Pin, time::Duration};

use futures_util::Stream;
use kube::{
    Api, Resource,
    api::{ListParams, ObjectList, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::time::{self, Instant};

use crate::clock::Clock;

use super::{
    episode::Episode,
    event::{Event, Version},
    failure::Failure,
    metrics::{Kind, Metrics},
};

/// Marks the end of a list that comes as a stream (Kubernetes 1.27 and later).
const LIST_ENDS: &str = "k8s.io/initial-events-end";

/// How many objects a page has. Those of 200 objects with as many annotations as the API server takes, are 50 MiB.
const PAGE: u32 = 200;

/// The server ends a watch after about this time, in seconds: fewer than the 300 of many a load balancer. Not all of
/// them at the same moment.
const LIFE: std::ops::Range<u32> = 230..290;

/// A watch that ends sooner is no watch: without a pause we would ask again and again.
const SHORT: Duration = Duration::from_secs(1);

/// After so many failures in a row, about two minutes, nobody knows whether it is still the same server.
const FORGET: u32 = 10;

/// How long we wait for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// For an answer to begin, or for a page. The server itself gives up after a minute.
    pub(super) answer: Duration,
    /// For the next object of a list that streams, or its end. Old servers do as if they had not heard that a list was
    /// asked for, and never come to its end.
    pub(super) list: Duration,
    /// For anything of a watch. By then, the server would have ended it: it is not there any more.
    pub(super) event: Duration,
}

impl Patience {
    /// With a real server.
    pub(super) const REAL: Self = Self {
        answer: Duration::from_secs(30),
        list: Duration::from_secs(5),
        event: Duration::from_mins(5),
    };
}

/// What the server tells, as it comes.
type Events<K> = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<K>>> + Send>>;

/// Takes what happened, in order.
pub(super) trait Listener<K>: Send {
    /// Takes one step. What takes its time, slows the watch.
    fn hear(&mut self, event: Event<K>) -> impl Future<Output = ()> + Send;
}

/// Follows one kind of objects.
pub(super) struct Watch<K> {
    kind: Kind,
    api: Api<K>,
    fields: Option<String>,
    lists: Lists,
    /// Where to go on.
    position: Option<String>,
    patience: Patience,
    episode: Episode,
    metrics: Metrics,
    clock: Clock,
}

/// How the server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    Streamed,
    Paged,
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + fmt::Debug + Send + 'static,
{
    /// Makes ready to follow what `api` has, as far as `fields` select it.
    pub(super) fn new(
        kind: Kind,
        api: Api<K>,
        fields: Option<String>,
        patience: Patience,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        Self {
            kind,
            api,
            fields,
            lists: Lists::Streamed,
            position: None,
            patience,
            episode: Episode::new(kind.as_str(), "list and watch", kind.as_str()),
            metrics,
            clock,
        }
    }

    /// Tells `listener` all that happens, whatever happens.
    pub(super) async fn run(mut self, mut listener: impl Listener<K>) -> Infallible {
        loop {
            let Err(failure) = self.follow(&mut listener).await;
            self.metrics.failed(self.kind, failure.reason());
            self.episode.failed(&failure);
            listener.hear(Event::Lost).await;
            if failure.reason().forgets() || self.episode.failures().is_multiple_of(FORGET) {
                self.position = None;
            }
            let pause = self.episode.pause(failure.wishes_seconds(), rand::random());
            time::sleep(pause).await;
        }
    }

    /// Follows until something fails.
    async fn follow(&mut self, listener: &mut impl Listener<K>) -> Result<Infallible, Failure> {
        let mut events = match self.position.clone() {
            Some(position) => {
                self.check(&position).await?;
                self.resume(&position).await?
            }
            None => self.list(listener).await?,
        };
        loop {
            self.listen(&mut events, listener).await?;
            let position = self.position.clone().unwrap_or_default();
            events = self.resume(&position).await?;
        }
    }

    /// Tells of all objects, and gives what comes after them.
    async fn list(&mut self, listener: &mut impl Listener<K>) -> Result<Events<K>, Failure> {
        if self.lists == Lists::Streamed {
            if let Some(events) = self.stream(listener).await? {
                return Ok(events);
            }
            tracing::debug!(
                of = self.kind.as_str(),
                "no streaming list; asking for pages"
            );
            self.lists = Lists::Paged;
        }
        let position = match self.pages(listener).await {
            Ok(position) => position,
            Err(failure) => {
                // The next server may be another.
                self.lists = Lists::Streamed;
                return Err(failure);
            }
        };
        self.complete(position.clone(), listener).await;
        self.resume(&position).await
    }

    /// Tells of all objects as they stream in; `None` if the server does not do that.
    async fn stream(
        &mut self,
        listener: &mut impl Listener<K>,
    ) -> Result<Option<Events<K>>, Failure> {
        let mut events = match self.open(self.params().initial_events(), "").await {
            Err(failure) if failure.is_about_parameters() => return Ok(None),
            opened => opened?,
        };
        listener.hear(Event::Restarted).await;
        loop {
            let Ok(next) = time::timeout(self.patience.list, next(&mut events)).await else {
                return Ok(None);
            };
            match next.ok_or(Failure::Closed)?? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.heard();
                    listener.hear(Event::Listed(object)).await;
                }
                WatchEvent::Bookmark(mark) => {
                    if mark.metadata.annotations.contains_key(LIST_ENDS) {
                        self.complete(mark.metadata.resource_version, listener)
                            .await;
                        return Ok(Some(events));
                    }
                }
                WatchEvent::Deleted(_) => return Err(Failure::Disordered),
                WatchEvent::Error(status) => return Err(Failure::Refused(status)),
            }
        }
    }

    /// Tells of all objects page by page, and gives the version as of which they are.
    async fn pages(&mut self, listener: &mut impl Listener<K>) -> Result<String, Failure> {
        let mut params = self.list_params();
        listener.hear(Event::Restarted).await;
        loop {
            let page = self.page(&params).await?;
            for object in page.items {
                self.heard();
                listener.hear(Event::Listed(object)).await;
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return page.metadata.resource_version.ok_or(Failure::Disordered);
            }
        }
    }

    /// After a failure, makes sure that it is the same server. One whose etcd was lost or restored would tell nothing
    /// before its versions are past `position`, and nobody would know what was missed.
    async fn check(&self, position: &str) -> Result<(), Failure> {
        let params = ListParams {
            limit: Some(1),
            ..self.list_params()
        };
        let now = self.page(&params).await?.metadata.resource_version;
        let (now, then) = (
            now.as_deref().and_then(Version::parse),
            Version::parse(position),
        );
        if now < then {
            Err(Failure::Disordered)
        } else {
            Ok(())
        }
    }

    async fn page(&self, params: &ListParams) -> Result<ObjectList<K>, Failure> {
        let page = time::timeout(self.patience.answer, self.api.list(params)).await;
        Ok(page.map_err(|_late| Failure::TimedOut)??)
    }

    fn list_params(&self) -> ListParams {
        ListParams {
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        }
    }

    /// What happens from `position` on.
    async fn resume(&self, position: &str) -> Result<Events<K>, Failure> {
        self.open(self.params(), position).await
    }

    async fn open(&self, params: WatchParams, position: &str) -> Result<Events<K>, Failure> {
        let opened = time::timeout(self.patience.answer, self.api.watch(&params, position)).await;
        let events = opened.map_err(|_late| Failure::TimedOut)??;
        Ok(Box::pin(events))
    }

    fn params(&self) -> WatchParams {
        WatchParams {
            field_selector: self.fields.clone(),
            timeout: Some(rand::random_range(LIFE)),
            ..WatchParams::default()
        }
    }

    /// Tells what happens until the server ends the watch, as it does now and then.
    async fn listen(
        &mut self,
        events: &mut Events<K>,
        listener: &mut impl Listener<K>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            let next = time::timeout(self.patience.event, next(events)).await;
            let Some(event) = next.map_err(|_silent| Failure::TimedOut)? else {
                if start.elapsed() < SHORT {
                    return Err(Failure::Closed);
                }
                self.told();
                return Ok(());
            };
            self.take(event?, listener).await?;
        }
    }

    async fn take(
        &mut self,
        event: WatchEvent<K>,
        listener: &mut impl Listener<K>,
    ) -> Result<(), Failure> {
        let event = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.heard();
                let version = self.advance(object.meta().resource_version.as_deref())?;
                Event::Applied(object, version)
            }
            WatchEvent::Deleted(object) => {
                self.heard();
                let version = self.advance(object.meta().resource_version.as_deref())?;
                Event::Deleted(object, version)
            }
            WatchEvent::Bookmark(mark) => {
                Event::Reached(self.advance(Some(&mark.metadata.resource_version))?)
            }
            WatchEvent::Error(status) => return Err(Failure::Refused(status)),
        };
        listener.hear(event).await;
        self.told();
        Ok(())
    }

    /// Goes on to `version`. What comes before we were there, is told by a server that lost something, or by another.
    fn advance(&mut self, version: Option<&str>) -> Result<Version, Failure> {
        let version = version.filter(|version| !version.is_empty());
        let version = version.ok_or(Failure::Disordered)?;
        let before = self.position.as_deref().and_then(Version::parse);
        let after = Version::parse(version);
        if after.is_some() && after < before {
            return Err(Failure::Disordered);
        }
        self.position = Some(version.to_owned());
        Ok(after.unwrap_or(Version::START))
    }

    async fn complete(&mut self, version: String, listener: &mut impl Listener<K>) {
        let reached = Version::parse(&version).unwrap_or(Version::START);
        self.position = Some(version);
        listener.hear(Event::Complete(reached)).await;
        self.metrics.synced(self.kind);
        self.told();
    }

    fn heard(&self) {
        self.metrics.event(self.kind);
    }

    fn told(&mut self) {
        self.metrics.told(self.kind, self.clock.now());
        self.episode.over();
    }
}

async fn next<K>(events: &mut Events<K>) -> Option<kube::Result<WatchEvent<K>>> {
    poll_fn(|cx| events.as_mut().poll_next(cx)).await
}
