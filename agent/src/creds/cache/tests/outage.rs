//! STS is gone for half an hour, which nobody is to notice.

use super::*;

/// The longest that is survived wherever it begins.
const OUTAGE: Duration = Duration::from_mins(29);

/// A source that is gone from a moment on, for [`OUTAGE`]. Its calls end after eight seconds then.
#[derive(Debug)]
struct Gone {
    clock: Clock,
    from: Instant,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Source for Gone {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        let now = Instant::now();
        self.calls.lock().unwrap().push(now);
        if (self.from..self.from + OUTAGE).contains(&now) {
            sleep(SECOND * 8).await;
            return Err(SourceError::Unavailable {
                role: identity.role.clone(),
                message: "gone".to_owned(),
            });
        }
        sleep(SECOND / 10).await;
        let issued = self.clock.now();
        Ok(Credentials {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: Secret::new("token"),
            issued,
            expires: issued + jiff::SignedDuration::from_hours(1),
            document: Derived::default(),
        })
    }
}

/// Ten pods of a node through an outage that begins at the minute `from` of an hour; says when calls were made.
async fn survive(from: u32) -> Vec<Instant> {
    let (clock, _ahead) = Clock::jumping("2026-01-01T00:00:00Z".parse().unwrap());
    let calls = Arc::default();
    let source = Gone {
        clock,
        from: Instant::now() + HOUR + MINUTE * from,
        calls: Arc::clone(&calls),
    };
    let cache = Cache::new(source, clock, Metrics::new());
    let identities: Vec<_> = (0..10).map(|one| identity(&format!("r{one}"))).collect();
    let wanted = identities.iter().cloned().map(|one| (one, Beginning::New));
    cache.retain(&wanted.collect());
    let states: Vec<_> = identities.iter().map(|one| cache.watch(one)).collect();
    sleep(MINUTE).await;
    for second in 0..60 * 160 / 5 {
        sleep(SECOND * 5).await;
        for states in &states {
            let left = left(states, clock);
            let what = || format!("outage from {from} min, {second} x 5 s: {left:?}");
            assert!(
                left.is_some_and(|left| left + SECOND >= MARGIN),
                "{}",
                what()
            );
        }
    }
    calls.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn half_an_hour_without_sts_is_not_noticed_whenever_it_begins() {
    for minute in 0..30 {
        survive(minute).await;
    }
}

#[tokio::test(start_paused = true)]
async fn meanwhile_a_node_asks_seldom_and_afterwards_not_all_at_once() {
    let start = Instant::now() + HOUR;
    let calls = survive(0).await;
    let minute = |number: u32| {
        let from = start + MINUTE * number;
        let until = from + MINUTE;
        calls
            .iter()
            .filter(|call| (from..until).contains(call))
            .count()
    };
    let most = (1..29).map(minute).max();
    assert!(most <= Some(30), "{most:?} a minute");
    let after: usize = (29..33).map(minute).sum();
    assert!((10..20).contains(&after), "{after}");
}
