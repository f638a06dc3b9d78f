use super::*;

const SOON: Duration = Duration::from_mins(5);

async fn passes(place: &mut Place) -> bool {
    let turn = tokio::time::timeout(Duration::from_millis(1), place.turn()).await;
    turn.is_ok()
}

/// As many turns as there are at a time.
async fn all(turnstile: &Turnstile) -> Vec<Turn> {
    let mut turns = Vec::new();
    for _ in 0..48 {
        turns.push(turnstile.join(Urgency::New).turn().await);
    }
    turns
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_passes_as_soon_as_a_call_ends() {
    let turnstile = Turnstile::new();
    let mut turns = all(&turnstile).await;
    let mut place = turnstile.join(Urgency::New);
    assert!(!passes(&mut place).await);
    let waiting = tokio::spawn(async move { place.turn().await });
    tokio::task::yield_now().await;
    turns.pop().unwrap().end(Some(Verdict::Answered));
    let turn = tokio::time::timeout(SOON, waiting).await;
    drop(turn.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_makes_room() {
    let turnstile = Turnstile::new();
    let mut turns = all(&turnstile).await;
    let mut place = turnstile.join(Urgency::New);
    assert!(!passes(&mut place).await);
    drop(turns.pop());
    assert!(passes(&mut place).await);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let turnstile = Turnstile::new();
    let mut turns = all(&turnstile).await;
    let (given, mut next) = (
        turnstile.join(Urgency::Waiting),
        turnstile.join(Urgency::New),
    );
    drop(turns.pop()); // `given` has a turn now, and does not know
    assert!(!passes(&mut next).await);
    drop(given);
    assert!(passes(&mut next).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_queue_is_not_waited_for() {
    let turnstile = Turnstile::new();
    let mut turns = all(&turnstile).await;
    drop(turnstile.join(Urgency::Waiting));
    let mut next = turnstile.join(Urgency::New);
    drop(turns.pop());
    assert!(passes(&mut next).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_hurries_passes_before_the_others() {
    let turnstile = Turnstile::new();
    let mut turns = all(&turnstile).await;
    let mut first = turnstile.join(Urgency::New);
    let mut second = turnstile.join(Urgency::LEAST);
    second.hurry(Urgency::Waiting);
    drop(turns.pop());
    assert!(!passes(&mut first).await);
    assert!(passes(&mut second).await);
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_all_pass_in_time() {
    let turnstile = Turnstile::new();
    turnstile
        .join(Urgency::New)
        .turn()
        .await
        .end(Some(Verdict::Throttled));
    let start = Instant::now();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut place = turnstile.join(Urgency::New);
            tokio::spawn(async move { place.turn().await.end(Some(Verdict::Answered)) })
        })
        .collect();
    for task in waiting {
        tokio::time::timeout(SOON, task).await.unwrap().unwrap();
    }
    let waited = start.elapsed();
    let pause = Duration::from_millis(50)..=Duration::from_millis(202);
    assert!(pause.contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn throttling_elsewhere_is_throttling_here() {
    let turnstile = Turnstile::new();
    turnstile.strike(Duration::ZERO);
    let mut place = turnstile.join(Urgency::Waiting);
    assert!(!passes(&mut place).await);
    assert!(tokio::time::timeout(SOON, place.turn()).await.is_ok());
}
