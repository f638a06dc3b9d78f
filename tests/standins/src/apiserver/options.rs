//! The query of a list or a watch, checked as the API server checks it.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ask::{Verb, is_true},
    fault::Fault,
    kind::Kind,
    object::Version,
    refusal::Refusal,
    selector::Selector,
};

/// How old an answer may be, or where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing was said: the newest.
    Newest,
    /// Anything will do: `resourceVersion=0`.
    Any,
    /// This version.
    At(Version),
}

/// How `resourceVersion` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    NotOlderThan,
    Exact,
}

/// Whether a watch shall begin with what there is, and say where that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initial {
    /// Nothing was said.
    Unsaid,
    Wanted,
    Unwanted,
}

/// The parameters of a list or a watch.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) selector: Selector,
    pub(super) since: Since,
    pub(super) matching: Option<Match>,
    pub(super) limit: Option<usize>,
    pub(super) page: Option<String>,
    pub(super) bookmarks: bool,
    pub(super) initial: Initial,
    pub(super) timeout: Option<Duration>,
}

impl Options {
    /// Reads the query of a request with `verb` about `kind`.
    pub(super) fn read(kind: Kind, verb: Verb, query: &str) -> Result<Self, Refusal> {
        let query = Query::new(query);
        if query.get("labelSelector").is_some() {
            return Err(Refusal::bad_request(
                "this stand-in knows no label selectors",
            ));
        }
        let options = Self {
            selector: Selector::parse(kind, query.get("fieldSelector").unwrap_or_default())?,
            since: query.since()?,
            matching: query.matching()?,
            limit: query.number("limit")?,
            page: query.get("continue").map(ToOwned::to_owned),
            bookmarks: query.get("allowWatchBookmarks").is_some_and(is_true),
            initial: query.initial(),
            timeout: query.number("timeoutSeconds")?.map(seconds),
        };
        options.check(verb)?;
        Ok(options)
    }

    fn check(&self, verb: Verb) -> Result<(), Refusal> {
        if verb == Verb::Watch {
            self.check_watch()
        } else {
            self.check_list()
        }
    }

    fn check_watch(&self) -> Result<(), Refusal> {
        match (self.initial, self.matching) {
            (Initial::Unsaid, Some(_)) => Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )),
            (Initial::Wanted | Initial::Unwanted, matching)
                if matching != Some(Match::NotOlderThan) =>
            {
                Err(forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_list(&self) -> Result<(), Refusal> {
        if self.initial != Initial::Unsaid {
            let message = "sendInitialEvents is forbidden for list";
            return Err(forbidden("sendInitialEvents", message));
        }
        match (self.matching, self.since, &self.page) {
            (Some(_), _, Some(_)) => Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            )),
            (Some(_), Since::Newest, None) => Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            (Some(Match::Exact), Since::Any, None) => Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            (None, Since::At(_), Some(_)) => Err(Refusal::bad_request(
                "specifying resource version is not allowed when using continue",
            )),
            _ => Ok(()),
        }
    }
}

/// A parameter that may not be there.
pub(super) fn forbidden(field: &'static str, message: &str) -> Refusal {
    invalid(Fault::forbidden(field, message))
}

fn invalid(fault: Fault) -> Refusal {
    Refusal::invalid("meta.k8s.io", "ListOptions", "", &[fault])
}

fn seconds(seconds: usize) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
}

/// Parameters by name, the first of each.
struct Query(BTreeMap<String, String>);

impl Query {
    fn new(query: &str) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            parameters.entry(name).or_insert(value);
        }
        Self(parameters)
    }

    /// What is empty is not said.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// A number above nought; any other is not said.
    fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let wrong =
            |_no_number| Refusal::bad_request(format!("parsing \"{text}\": invalid syntax"));
        let number: i64 = text.parse().map_err(wrong)?;
        Ok(usize::try_from(number).ok().filter(|number| *number > 0))
    }

    fn since(&self) -> Result<Since, Refusal> {
        let name = "resourceVersion";
        match self.get(name) {
            None => Ok(Since::Newest),
            Some("0") => Ok(Since::Any),
            Some(text) => match text.parse() {
                Ok(version) => Ok(Since::At(Version(version))),
                Err(_) => Err(Refusal::bad_request(format!(
                    "invalid resource version: {name}: Invalid value: \"{text}\": not a number"
                ))),
            },
        }
    }

    fn matching(&self) -> Result<Option<Match>, Refusal> {
        let name = "resourceVersionMatch";
        match self.get(name) {
            None => Ok(None),
            Some("NotOlderThan") => Ok(Some(Match::NotOlderThan)),
            Some("Exact") => Ok(Some(Match::Exact)),
            Some(text) => {
                let supported = "\"Exact\", \"NotOlderThan\", \"\"";
                Err(invalid(Fault::unsupported(name, text, supported)))
            }
        }
    }

    fn initial(&self) -> Initial {
        match self.get("sendInitialEvents") {
            None => Initial::Unsaid,
            Some(value) if is_true(value) => Initial::Wanted,
            Some(_) => Initial::Unwanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, query: &str) -> Result<Options, (u16, String)> {
        let options = Options::read(Kind::Pod, verb, query);
        options.map_err(|refusal| (refusal.code.as_u16(), refusal.message))
    }

    #[test]
    fn the_query_of_a_streaming_list_is_read() {
        let query = "watch=true&timeoutSeconds=290&fieldSelector=spec.nodeName%3Dn&allowWatchBookmarks=true\
                     &sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0";
        let options = read(Verb::Watch, query).unwrap();
        assert_eq!(options.since, Since::Any);
        assert_eq!(options.initial, Initial::Wanted);
        assert_eq!(options.timeout, Some(Duration::from_secs(290)));
        assert!(options.bookmarks && !options.selector.is_empty());
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for (verb, query, code) in [
            (Verb::List, "labelSelector=a%3Db", 400),
            (Verb::List, "fieldSelector=spec.foo%3Db", 400),
            (Verb::List, "limit=many", 400),
            (Verb::Watch, "timeoutSeconds=soon", 400),
            (Verb::List, "resourceVersion=abc", 400),
            (Verb::List, "resourceVersionMatch=NotOlderThan", 422),
            (
                Verb::List,
                "resourceVersionMatch=Exact&resourceVersion=0",
                422,
            ),
            (
                Verb::List,
                "resourceVersionMatch=Newer&resourceVersion=1",
                422,
            ),
            (Verb::List, "sendInitialEvents=true", 422),
            (Verb::List, "continue=x&resourceVersion=5", 400),
            (Verb::Watch, "resourceVersionMatch=NotOlderThan", 422),
            (Verb::Watch, "sendInitialEvents=true", 422),
            (
                Verb::Watch,
                "sendInitialEvents=true&resourceVersionMatch=Exact",
                422,
            ),
        ] {
            let refused = read(verb, query).map(|_| ()).unwrap_err();
            assert_eq!(refused.0, code, "{query}: {}", refused.1);
        }
    }

    #[test]
    fn what_is_empty_or_nought_is_not_said() {
        let options = read(
            Verb::List,
            "limit=-1&continue=&resourceVersion=&timeoutSeconds=0",
        )
        .unwrap();
        assert_eq!(options.since, Since::Newest);
        assert_eq!(
            (options.limit, options.page, options.timeout),
            (None, None, None)
        );
    }
}
