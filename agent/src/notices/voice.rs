//! Who is told: the log and the crier, each as much as it can take.

use std::sync::Arc;

use tokio::time::Instant;

use crate::digest::Digest;

use super::{
    Crier, Limit, Notice, Reason,
    told::{Due, Occasion},
};

/// Who is told: the log, and the crier.
#[derive(Debug)]
pub(super) struct Voice {
    crier: Option<Arc<dyn Crier>>,
    /// Of the log; the crier has its own.
    limit: Limit,
    left_out: Digest,
}

impl Voice {
    pub(super) fn new(crier: Option<Arc<dyn Crier>>) -> Self {
        Self {
            crier,
            limit: Limit::default(),
            left_out: Digest::default(),
        }
    }

    /// What did not reach the crier's people.
    pub(super) fn unheard(&self) -> Vec<Notice> {
        let crier = self.crier.as_ref();
        crier.map(|crier| crier.unheard()).unwrap_or_default()
    }

    /// Tells both.
    pub(super) fn say(&mut self, Due { notice, occasion }: Due) {
        match (notice.reason, occasion) {
            (
                Reason::RoleForbidden
                | Reason::InvalidAnnotation
                | Reason::InvalidNamespaceAnnotation,
                Occasion::New,
            ) => {
                self.warn(&notice);
            }
            // What STS and the API server say, whoever asked them has said already.
            (Reason::RoleRefusedBySts | Reason::NoServiceAccountToken, _)
            | (_, Occasion::Again) => {
                let Notice {
                    pod, note, times, ..
                } = &notice;
                let reason = notice.reason.as_str();
                tracing::debug!(%pod, reason, note = &**note, times, "a pod still does not get its role");
            }
        }
        if let Some(crier) = &self.crier {
            crier.tell(notice);
        }
    }

    /// Into the log, as long as there is room for it.
    fn warn(&mut self, notice: &Notice) {
        let (pod, reason, note) = (&notice.pod, notice.reason.as_str(), &*notice.note);
        let meaning = notice.reason.meaning();
        if self.limit.allows(pod, notice.uid, Instant::now()) {
            tracing::warn!(%pod, reason, note, "{meaning}");
            return;
        }
        tracing::debug!(%pod, reason, note, "{meaning}");
        if let Some(count) = self.left_out.add("refusals") {
            tracing::warn!(count, %pod, "more was refused to pods than there is room for in the log");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use tracing::{Event, Level, Subscriber, subscriber::DefaultGuard};
    use tracing_subscriber::{Layer, layer::Context, prelude::*};

    use crate::id::PodUid;

    use super::*;

    /// Counts the warnings of this thread.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Warnings {
        fn listen() -> (Self, DefaultGuard) {
            let warnings = Self::default();
            let guard = tracing_subscriber::registry()
                .with(warnings.clone())
                .set_default();
            (warnings, guard)
        }

        /// Since this was last asked.
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    impl<S: Subscriber> Layer<S> for Warnings {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if *event.metadata().level() == Level::WARN {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[derive(Debug, Default)]
    struct Count(Mutex<usize>);

    impl Crier for Count {
        fn tell(&self, _: Notice) {
            *self.0.lock().unwrap() += 1;
        }

        fn unheard(&self) -> Vec<Notice> {
            Vec::new()
        }
    }

    fn due(namespace: u32, pod: u32, occasion: Occasion) -> Due {
        let uid = format!("00000000-0000-0000-{namespace:04x}-{pod:012x}");
        let notice = Notice {
            pod: format!("team-{namespace}/cart-{pod}").parse().unwrap(),
            uid: uid.parse::<PodUid>().unwrap(),
            reason: Reason::InvalidAnnotation,
            note: "no".into(),
            times: 1,
        };
        Due { notice, occasion }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_floods_the_log_and_what_is_left_out_is_counted_there() {
        let (warnings, _guard) = Warnings::listen();
        let crier = Arc::new(Count::default());
        let mut voice = Voice::new(Some(Arc::<Count>::clone(&crier)));
        for _ in 0..1000 {
            voice.say(due(1, 1, Occasion::New));
        }
        assert_eq!(warnings.take(), 6 + 1, "one pod, and that there is more");
        for pod in 2..1000 {
            voice.say(due(1, pod, Occasion::New));
        }
        assert_eq!(warnings.take(), 24, "its namespace");
        for namespace in 2..1000 {
            voice.say(due(namespace, 1, Occasion::New));
        }
        assert_eq!(warnings.take(), 90, "all");
        tokio::time::sleep(Duration::from_mins(1)).await;
        for _ in 0..1000 {
            voice.say(due(1, 1, Occasion::New));
        }
        assert_eq!(warnings.take(), 1, "that there is more");
        assert_eq!(*crier.0.lock().unwrap(), 3996, "it has a limit of its own");
    }

    #[tokio::test]
    async fn what_lasts_is_no_warning_again() {
        let (warnings, _guard) = Warnings::listen();
        let mut voice = Voice::new(None);
        voice.say(due(1, 1, Occasion::New));
        voice.say(due(1, 1, Occasion::Again));
        assert_eq!(warnings.take(), 1);
    }
}
