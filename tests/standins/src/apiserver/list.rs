//! Lists, in pages where pages are asked for.
//!
//! All pages of a list are of one version, whatever happens meanwhile, for as long as the list is kept.

use std::{collections::VecDeque, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shared::Shared;

use super::{
    format::Format,
    kind::Kind,
    object::{Object, Version},
    options::{Match, Options, Since},
    refusal::Refusal,
    scope::Scope,
    store::Store,
};

/// How many lists are kept for their next pages.
const KEPT: usize = 64;

/// A list that was not sent to its end.
struct Unfinished {
    id: u64,
    version: Version,
    objects: Arc<[Arc<Object>]>,
}

/// Lists that were not sent to their end.
pub(super) struct Pages {
    unfinished: Shared<VecDeque<Unfinished>>,
}

/// What stands in a `continue` parameter. Clients do not look into it.
#[derive(Debug, Serialize, Deserialize)]
struct Continue {
    v: String,
    rv: u64,
    id: u64,
    start: usize,
}

/// One page.
struct Page {
    version: Version,
    objects: Arc<[Arc<Object>]>,
    start: usize,
    end: usize,
    id: u64,
}

impl Pages {
    pub(super) const fn new() -> Self {
        Self {
            unfinished: Shared::new(VecDeque::new()),
        }
    }

    /// Forgets all lists: their next pages are gone.
    pub(super) fn forget(&self) {
        self.unfinished.with(VecDeque::clear);
    }

    /// The JSON of a list, or of a page of it.
    pub(super) fn list(
        &self,
        store: &Store,
        kind: Kind,
        scope: &Scope,
        options: &Options,
        format: Format,
    ) -> Result<Vec<u8>, Refusal> {
        let page = match &options.page {
            Some(page) => self.next(page, options.limit)?,
            None => self.first(store, kind, scope, options)?,
        };
        Ok(page.json(kind, format, scope))
    }

    fn first(
        &self,
        store: &Store,
        kind: Kind,
        scope: &Scope,
        options: &Options,
    ) -> Result<Page, Refusal> {
        let snapshot = store.list(kind, &scope.namespace);
        check_version(options, snapshot.version)?;
        let all = snapshot.objects.into_iter();
        let objects: Arc<[_]> = all.filter(|object| scope.has(object)).collect();
        let end = options
            .limit
            .map_or(objects.len(), |limit| limit.min(objects.len()));
        let id = rand::random();
        let version = snapshot.version;
        if end < objects.len() {
            self.keep(Unfinished {
                id,
                version,
                objects: Arc::clone(&objects),
            });
        }
        Ok(Page {
            version,
            objects,
            start: 0,
            end,
            id,
        })
    }

    fn next(&self, page: &str, limit: Option<usize>) -> Result<Page, Refusal> {
        let read = URL_SAFE_NO_PAD.decode(page).ok();
        let read = read.and_then(|json| serde_json::from_slice::<Continue>(&json).ok());
        let read = read.ok_or_else(|| {
            Refusal::bad_request("invalid continue token: continue key is not valid")
        })?;
        let found = self.unfinished.with(|unfinished| {
            let list = unfinished.iter().find(|list| list.id == read.id)?;
            Some((list.version, Arc::clone(&list.objects)))
        });
        let (version, objects) = found.ok_or_else(Refusal::page_gone)?;
        let start = read.start.min(objects.len());
        let rest = objects.len() - start;
        let end = start + limit.map_or(rest, |limit| limit.min(rest));
        Ok(Page {
            version,
            objects,
            start,
            end,
            id: read.id,
        })
    }

    fn keep(&self, list: Unfinished) {
        self.unfinished.with(|unfinished| {
            unfinished.push_back(list);
            while unfinished.len() > KEPT {
                unfinished.pop_front();
            }
        });
    }
}

impl Page {
    fn json(&self, kind: Kind, format: Format, scope: &Scope) -> Vec<u8> {
        let (name, api_version) = format
            .type_meta()
            .unwrap_or((kind.name(), kind.api_version()));
        let metadata = self.metadata(scope);
        let mut json = format!(
            "{{\"kind\":\"{name}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
        )
        .into_bytes();
        let items = self.objects.get(self.start..self.end).unwrap_or_default();
        for (index, object) in items.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            object.write_item(format, &mut json);
        }
        json.extend_from_slice(b"]}");
        json
    }

    fn metadata(&self, scope: &Scope) -> Value {
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        let rest = self.objects.len() - self.end;
        if rest > 0 {
            let next = Continue {
                v: "meta.k8s.io/v1".to_owned(),
                rv: self.version.0,
                id: self.id,
                start: self.end,
            };
            let next = URL_SAFE_NO_PAD.encode(json!(next).to_string());
            metadata["continue"] = next.into();
            if scope.selector.is_empty() {
                metadata["remainingItemCount"] = rest.into();
            }
        }
        metadata
    }
}

/// Whether a list of the newest version is what was asked for.
fn check_version(options: &Options, current: Version) -> Result<(), Refusal> {
    match (options.since, options.matching) {
        (Since::At(wanted), _) if wanted > current => Err(Refusal::too_large(wanted, current)),
        (Since::At(wanted), Some(Match::Exact)) if wanted < current => Err(Refusal::list_gone()),
        _ => Ok(()),
    }
}
