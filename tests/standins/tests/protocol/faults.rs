//! STS that misbehaves as it is told.

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Effect, Fault, Outcome, Rule};
use tokio::time::Instant;

use crate::sts::{ASSUME, NODE_KEY, ROLE, assume, element, post, signed, start_with, try_post};

#[tokio::test]
async fn a_denied_role_is_refused_and_others_are_not() {
    let (sts, _hand) = start_with(vec![Rule::error(Code::AccessDenied).for_role(ROLE)]);
    let answer = assume(&sts).await;
    assert_eq!(
        (answer.status, element(&answer, "Code")),
        (403, "AccessDenied")
    );
    let who = "arn:aws:sts::123456789012:assumed-role/node-role/i-0a1b2c3d4e5f60718";
    assert_eq!(
        element(&answer, "Message"),
        format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {ROLE}")
    );
    let other = ASSUME.replace("%2Fapp", "%2Fother");
    assert_eq!(
        post(&sts, &signed(NODE_KEY, None), &other).await.status,
        200
    );
}

#[tokio::test]
async fn errors_come_for_as_many_calls_as_was_said() {
    let (sts, _hand) = start_with(vec![
        Rule::error(Code::Throttling).times(2),
        Rule::error(Code::InternalFailure).times(1),
    ]);
    // What is wrong by itself does not use up a rule.
    assert_eq!(
        element(&post(&sts, "", ASSUME).await, "Code"),
        "MissingAuthenticationToken"
    );
    for (status, code, blame) in [
        (400, "Throttling", "Sender"),
        (400, "Throttling", "Sender"),
        (500, "InternalFailure", "Receiver"),
        (200, "", ""),
    ] {
        let answer = assume(&sts).await;
        let seen = (
            answer.status,
            element(&answer, "Code"),
            element(&answer, "Type"),
        );
        assert_eq!(seen, (status, code, blame));
    }
}

#[tokio::test]
async fn it_can_talk_nonsense_stop_halfway_or_close_the_door() {
    let fault = |fault| Rule::always(Effect::Fault(fault)).times(1);
    let (sts, _hand) = start_with(vec![
        fault(Fault::Garbage),
        fault(Fault::Cut),
        fault(Fault::Close),
    ]);
    let answer = assume(&sts).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("<html>"), "{}", answer.body);
    let cut = assume(&sts).await;
    assert_eq!(cut.status, 200);
    assert!(
        cut.body.ends_with(
            "</AccessKeyId>
"
        ),
        "{}",
        cut.body
    );
    let closed = try_post(&sts, &signed(NODE_KEY, None), ASSUME).await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(assume(&sts).await.status, 200);
    let calls = sts.calls().entries();
    let outcomes: Vec<_> = calls.iter().map(|call| call.outcome).collect();
    let expected = [
        Outcome::Garbage,
        Outcome::Cut,
        Outcome::Closed,
        Outcome::Granted,
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test(start_paused = true)]
async fn it_can_take_its_time() {
    let (sts, _hand) = start_with(vec![Rule::always(Effect::Latency(Duration::from_secs(5)))]);
    let begin = Instant::now();
    assert_eq!(assume(&sts).await.status, 200);
    assert!(
        begin.elapsed() >= Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn it_can_hang_and_the_call_is_known_meanwhile() {
    let (sts, _hand) = start_with(vec![Rule::always(Effect::Fault(Fault::Hang)).times(1)]);
    let waiting = async {
        tokio::select! {
            _ = assume(&sts) => panic!("there was an answer"),
            calls = sts.calls().wait_for(|calls| calls.len() == 1) => calls,
        }
    };
    assert_eq!(waiting.await[0].outcome, Outcome::Hung);
    let patience = Duration::from_hours(1);
    sts.rules().add(Rule::always(Effect::Fault(Fault::Hang)));
    assert!(tokio::time::timeout(patience, assume(&sts)).await.is_err());
    sts.rules().clear();
    assert_eq!(assume(&sts).await.status, 200);
}

fn always(rule: &str) -> Rule {
    serde_json::from_str(rule).unwrap()
}

#[tokio::test]
async fn sessions_can_be_over_already_and_tokens_long() {
    let (sts, _hand) = start_with(vec![
        always(r#"{"do":{"session":"0s"}}"#),
        always(r#"{"do":{"token":4096}}"#),
    ]);
    let answer = assume(&sts).await;
    assert_eq!(answer.status, 200);
    assert_eq!(element(&answer, "Expiration"), "2026-01-02T03:04:05Z");
    assert_eq!(element(&answer, "SessionToken").len(), 4096);
}

#[tokio::test]
async fn its_clock_can_be_wrong_in_all_that_it_says() {
    let (sts, _hand) = start_with(Vec::new());
    assert_eq!(
        assume(&sts).await.header("Date"),
        "Fri, 02 Jan 2026 03:04:05 GMT"
    );
    for (ahead, status, date, end) in [
        (
            "10m",
            200,
            "Fri, 02 Jan 2026 03:14:05 GMT",
            "2026-01-02T04:14:05Z",
        ),
        (
            "-14m",
            200,
            "Fri, 02 Jan 2026 02:50:05 GMT",
            "2026-01-02T03:50:05Z",
        ),
        ("16m", 403, "Fri, 02 Jan 2026 03:20:05 GMT", ""),
        ("-3h", 403, "Fri, 02 Jan 2026 00:04:05 GMT", ""),
    ] {
        let rule = format!(r#"{{"do":{{"clock":"{ahead}"}}}}"#);
        sts.rules().set(vec![always(&rule)]);
        let answer = assume(&sts).await;
        assert_eq!(
            (answer.status, answer.header("Date")),
            (status, date),
            "{ahead}"
        );
        assert_eq!(element(&answer, "Expiration"), end, "{ahead}");
    }
    let call = &sts.calls().entries()[1];
    assert_eq!(call.at.to_string(), "2026-01-02T03:14:05Z");
}

#[tokio::test]
async fn a_role_can_have_a_longest_session_of_its_own() {
    let rule = format!(r#"{{"role":"{ROLE}","do":{{"max-session":"30m"}}}}"#);
    let (sts, _hand) = start_with(vec![always(&rule)]);
    let other = ASSUME.replace("%2Fapp", "%2Fother");
    for (body, seconds, status) in [
        (ASSUME, 1800, 200),
        (ASSUME, 1801, 400),
        (&other, 3600, 200),
    ] {
        let body = format!("{body}&DurationSeconds={seconds}");
        let answer = post(&sts, &signed(NODE_KEY, None), &body).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 400 {
            assert_eq!(element(&answer, "Code"), "ValidationError");
            assert_eq!(
                element(&answer, "Message"),
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            );
        }
    }
}

#[tokio::test]
async fn a_role_can_refuse_tags_and_nothing_else() {
    let rule = format!(r#"{{"role":"{ROLE}","do":"no-tag-session"}}"#);
    let (sts, _hand) = start_with(vec![always(&rule)]);
    assert_eq!(assume(&sts).await.status, 200);
    let tagged = format!("{ASSUME}&Tags.member.1.Key=team&Tags.member.1.Value=shop");
    let answer = post(&sts, &signed(NODE_KEY, None), &tagged).await;
    assert_eq!(
        (answer.status, element(&answer, "Code")),
        (403, "AccessDenied")
    );
    let who = "arn:aws:sts::123456789012:assumed-role/node-role/i-0a1b2c3d4e5f60718";
    assert_eq!(
        element(&answer, "Message"),
        format!("User: {who} is not authorized to perform: sts:TagSession on resource: {ROLE}")
    );
    sts.rules().clear();
    assert_eq!(
        post(&sts, &signed(NODE_KEY, None), &tagged).await.status,
        200
    );
}

#[tokio::test]
async fn a_bucket_throttles_what_comes_too_fast() {
    let (sts, hand) = start_with(vec![always(r#"{"do":{"throttle":{"rate":10,"burst":3}}}"#)]);
    let assumed = async |calls| {
        let mut statuses = Vec::new();
        for _ in 0..calls {
            let answer = assume(&sts).await;
            if answer.status == 400 {
                assert_eq!(element(&answer, "Code"), "Throttling");
                assert_eq!(element(&answer, "Message"), "Rate exceeded");
            }
            statuses.push(answer.status);
        }
        statuses
    };
    assert_eq!(assumed(5).await, [200, 200, 200, 400, 400]);
    hand.advance(Duration::from_millis(100));
    assert_eq!(assumed(2).await, [200, 400]);
    sts.rules().clear();
    assert_eq!(assumed(2).await, [200, 200]);
}
