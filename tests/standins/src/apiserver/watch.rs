//! A watch: an answer that goes on, one event a line.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use crate::serve::{Closed, Pieces};

use super::{
    format::Format,
    log::{Change, Interrupt},
    mangle::{Course, Line, Mangler},
    object::{Object, Version},
    place::Place,
    refusal::Refusal,
    scope::Scope,
    store::Store,
    watches::Open,
};

/// A piece of the answer is about as large as this, if there is as much to say.
const PIECE: usize = 64 << 10;

/// How many objects of the initial list are written at a time.
const AT_ONCE: usize = 64;

/// How a watch shall be.
pub(super) struct Terms {
    pub(super) scope: Scope,
    pub(super) format: Format,
    /// How often a bookmark comes, if bookmarks were asked for.
    pub(super) bookmarks: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) mangler: Mangler,
}

/// What a watch begins with.
pub(super) struct Beginning {
    /// Objects that there are already.
    pub(super) objects: Vec<Arc<Object>>,
    /// Whether a bookmark says where they end.
    pub(super) end: InitialEnd,
    pub(super) version: Version,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitialEnd {
    Marked,
    Unmarked,
}

/// A running watch.
pub(super) struct Watch {
    store: Arc<Store>,
    place: Place,
    terms: Terms,
    initial: VecDeque<Arc<Object>>,
    end: InitialEnd,
    reached: Version,
    lines: VecDeque<Line>,
    course: Course,
    deadline: Instant,
    bookmark: Instant,
    _open: Open,
}

impl Watch {
    pub(super) fn new(store: Arc<Store>, beginning: Beginning, terms: Terms, open: Open) -> Self {
        let now = Instant::now();
        Self {
            store,
            place: beginning.place,
            initial: beginning.objects.into(),
            end: beginning.end,
            reached: beginning.version,
            lines: VecDeque::new(),
            course: terms.mangler.course(),
            deadline: now + terms.timeout,
            bookmark: now + terms.bookmarks.unwrap_or_default(),
            terms,
            _open: open,
        }
    }

    /// The body of the answer.
    pub(super) fn body(self) -> Pieces {
        let pieces = stream::unfold(self, |mut watch| async move {
            let piece = watch.piece().await?;
            Some((piece.map(Frame::data), watch))
        });
        StreamBody::new(pieces).boxed_unsync()
    }

    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Option<Result<Bytes, Closed>> {
        loop {
            if !self.lines.is_empty() {
                return Some(Ok(self.flush().await));
            }
            match self.course {
                Course::On => {}
                Course::Silent => std::future::pending().await,
                Course::Over(Interrupt::Break) => {
                    // What was said before is written first.
                    tokio::task::yield_now().await;
                    return Some(Err(Closed));
                }
                Course::Over(_) => return None,
            }
            if !self.begin() && !self.read() {
                self.wait().await;
            }
        }
    }

    /// Takes lines for one piece.
    async fn flush(&mut self) -> Bytes {
        if let Some(lag) = self.terms.mangler.lag() {
            sleep(lag).await;
            return self.lines.pop_front().unwrap_or_default().into();
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE
            && let Some(line) = self.lines.pop_front()
        {
            piece.extend(line);
        }
        piece.into()
    }

    /// Writes some of what there was at the beginning. Says whether there was anything.
    fn begin(&mut self) -> bool {
        let some = self.initial.len().min(AT_ONCE);
        for object in self.initial.drain(..some).collect::<Vec<_>>() {
            self.event(Change::Added, &object);
        }
        if some > 0 {
            return true;
        }
        let marked = self.end == InitialEnd::Marked;
        self.end = InitialEnd::Unmarked;
        if marked {
            self.mark(&json!({"k8s.io/initial-events-end": "true"}));
        }
        marked
    }

    /// Writes some of what is new. Says whether there was anything.
    fn read(&mut self) -> bool {
        let Some(news) = self.store.news(&mut self.place) else {
            // The API server ends a watch that is too slow.
            self.course = Course::Over(Interrupt::End);
            return true;
        };
        for entry in &news.entries {
            match self.terms.scope.read(entry) {
                None => {}
                Some(Ok((change, object))) => self.event(change, &object),
                Some(Err(interrupt)) => {
                    self.reached = entry.version;
                    self.interrupt(interrupt);
                }
            }
        }
        self.reached = news.version;
        !news.entries.is_empty()
    }

    async fn wait(&mut self) {
        let marks = self.terms.bookmarks.is_some();
        tokio::select! {
            biased;
            () = self.place.wait() => {}
            () = sleep_until(self.deadline) => self.course = Course::Over(Interrupt::End),
            () = sleep_until(self.bookmark), if marks => {
                self.read(); // what happened to other kinds counts too
                self.interrupt(Interrupt::Bookmark);
            }
        }
    }

    fn event(&mut self, change: Change, object: &Object) {
        if self.course != Course::On {
            return;
        }
        let mut line = Line::new();
        line.extend_from_slice(b"{\"type\":\"");
        line.extend_from_slice(change.name().as_bytes());
        line.extend_from_slice(b"\",\"object\":");
        object.write(self.terms.format, &mut line);
        line.extend_from_slice(b"}\n");
        self.lines.extend(self.terms.mangler.event(line));
        self.turn(self.terms.mangler.course());
    }

    fn turn(&mut self, course: Course) {
        if self.course != Course::On {
            return;
        }
        if course == Course::Over(Interrupt::Expire) {
            let expired = Refusal::too_old(self.reached, self.store.version());
            self.say("ERROR", &expired.status());
        }
        self.course = course;
    }

    fn interrupt(&mut self, interrupt: Interrupt) {
        match interrupt {
            Interrupt::Bookmark => self.mark(&json!(null)),
            Interrupt::End | Interrupt::Expire | Interrupt::Break => {
                self.turn(Course::Over(interrupt));
            }
        }
    }

    /// Says that everything up to the version that is reached was sent.
    fn mark(&mut self, annotations: &serde_json::Value) {
        let Some(often) = self.terms.bookmarks else {
            return;
        };
        self.bookmark = Instant::now() + often;
        let kind = self.place.kind();
        let own = (kind.name(), kind.api_version());
        let (kind, api_version) = self.terms.format.type_meta().unwrap_or(own);
        let mut metadata = json!({
            "resourceVersion": self.reached.to_string(),
            "creationTimestamp": null,
        });
        if annotations.is_object() {
            metadata["annotations"] = annotations.clone();
        }
        let bookmark = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.say("BOOKMARK", &bookmark);
    }

    fn say(&mut self, what: &str, object: &serde_json::Value) {
        if self.course == Course::On {
            let line = format!("{}\n", json!({"type": what, "object": object}));
            self.lines.push_back(line.into());
        }
    }
}
