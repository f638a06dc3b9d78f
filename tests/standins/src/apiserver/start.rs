//! How a watch starts: with what, and from where on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde_json::json;

use crate::serve::Reply;

use super::{
    answer::{json_response, query, scope, with_headers},
    ask::Verb,
    config::StreamingLists,
    format::{Format, Shape},
    kind::Kind,
    mangle::{Mangle, Mangler},
    options::{Initial, Options, Since, forbidden},
    refusal::Refusal,
    scope::Scope,
    service::State,
    watch::{Beginning, InitialEnd, Terms, Watch},
};

/// How long a watch runs that does not say how long.
const WATCH: Duration = Duration::from_mins(30);

impl State {
    pub(super) fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        request: &Request<Bytes>,
        mangles: Vec<Mangle>,
    ) -> Result<Reply, Refusal> {
        let format = Format::wanted(request, Shape::Single)?;
        let options = Options::read(kind, Verb::Watch, query(request))?;
        let scope = scope(namespace, &options);
        let beginning = match self.beginning(kind, &scope, &options) {
            Ok(beginning) => beginning,
            // A watch that cannot begin where it should is told so in the watch.
            Err(refusal)
                if matches!(refusal.code, StatusCode::GONE | StatusCode::GATEWAY_TIMEOUT) =>
            {
                let event = json!({"type": "ERROR", "object": refusal.status()});
                return Ok(Reply::Answer(json_response(
                    StatusCode::OK,
                    format!("{event}\n"),
                )));
            }
            Err(refusal) => return Err(refusal),
        };
        let terms = Terms {
            scope,
            format,
            bookmarks: options.bookmarks.then_some(self.bookmarks),
            timeout: options.timeout.unwrap_or(WATCH),
            mangler: Mangler::new(mangles),
        };
        let open = self.watches.open(kind);
        let watch = Watch::new(Arc::clone(&self.store), beginning, terms, open);
        Ok(Reply::Stream(with_headers(watch.body())))
    }

    fn beginning(
        &self,
        kind: Kind,
        scope: &Scope,
        options: &Options,
    ) -> Result<Beginning, Refusal> {
        let wanted = options.initial == Initial::Wanted;
        if wanted && self.streaming_lists == StreamingLists::Refused {
            let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(forbidden("sendInitialEvents", message));
        }
        if let (Since::At(since), false) = (options.since, wanted) {
            return Ok(Beginning {
                objects: Vec::new(),
                end: InitialEnd::Unmarked,
                version: since,
                place: self.store.resume(kind, since)?,
            });
        }
        let (snapshot, place) = self.store.join(kind, &scope.namespace);
        if let Since::At(since) = options.since
            && since > snapshot.version
        {
            return Err(Refusal::too_large(since, snapshot.version));
        }
        let mut objects = snapshot.objects;
        objects.retain(|object| options.initial != Initial::Unwanted && scope.has(object));
        Ok(Beginning {
            objects,
            end: if wanted && options.bookmarks {
                InitialEnd::Marked
            } else {
                InitialEnd::Unmarked
            },
            version: snapshot.version,
            place,
        })
    }
}
