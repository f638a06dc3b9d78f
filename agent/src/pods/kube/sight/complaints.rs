//! What was complained of already, so that it is not said at each change again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

/// So many complaints about one namespace are said; whoever has more, has read enough. It hides no other namespace.
const MOST: usize = 20;

/// After this time they are said again, if they still hold.
const FORGET: Duration = Duration::from_hours(1);

/// Those of each namespace.
#[derive(Debug, Default)]
pub(super) struct Complaints(HashMap<String, Said>);

#[derive(Debug)]
struct Said {
    since: Instant,
    complaints: HashSet<String>,
}

impl Complaints {
    /// Whether `complaint` about something in `namespace` is to be said. If so, it is not the next time.
    pub(super) fn is_new(&mut self, namespace: &str, complaint: &str) -> bool {
        self.0.retain(|_, said| said.since.elapsed() < FORGET);
        let said = self.0.entry(namespace.to_owned()).or_default();
        said.complaints.len() < MOST && said.complaints.insert(complaint.to_owned())
    }
}

impl Default for Said {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            complaints: HashSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_complaint_is_said_once_an_hour() {
        let mut complaints = Complaints::default();
        let mut said = || complaints.is_new("shop", "a");
        assert_eq!([said(), said(), said()], [true, false, false]);
        time::advance(FORGET).await;
        assert_eq!([said(), said()], [true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_namespace_cannot_use_up_what_others_may_say() {
        let mut complaints = Complaints::default();
        let said = (0..1000).filter(|at| complaints.is_new("rude", &at.to_string()));
        assert_eq!(said.count(), MOST);
        assert!(complaints.is_new("shop", "a"));
        time::advance(FORGET).await;
        assert!(complaints.is_new("rude", "1000"));
        assert_eq!(complaints.0.len(), 1, "nobody is remembered for ever");
    }
}
