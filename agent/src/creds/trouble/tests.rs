use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::time::{advance, sleep};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::{
    creds::{WebIdentity, web_identity::TokenError},
    id::RoleArn,
};

use super::*;

/// What this thread says at INFO and above.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Record>>>);

#[derive(Clone, Debug, Default)]
struct Record {
    level: String,
    fields: BTreeMap<&'static str, String>,
}

impl Heard {
    fn listen() -> (Self, DefaultGuard) {
        let heard = Self::default();
        let guard = tracing_subscriber::registry()
            .with(heard.clone())
            .set_default();
        (heard, guard)
    }

    /// Since this was last asked.
    fn records(&self) -> Vec<Record> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The same: levels and messages.
    fn take(&self) -> Vec<String> {
        let records = self.records();
        let line = |record: &Record| format!("{} {}", record.level, record.fields["message"]);
        records.iter().map(line).collect()
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level <= Level::INFO {
            let mut record = Record {
                level: level.to_string(),
                ..Record::default()
            };
            event.record(&mut record);
            self.0.lock().unwrap().push(record);
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

const BEGINS: &str = "WARN no new credentials";
const KEYS_END: &str = "WARN the credentials end before there are new ones";
const LASTS: &str = "WARN still no new credentials";
const NO_ROOM: &str =
    "WARN credentials are refused for more reasons than there is room for in the log";
const AGAIN: &str = "INFO STS gives credentials again";
const GONE: &str = "INFO nobody needs the credentials any more that STS did not give";
const MOVED: &str = "INFO there are no new credentials for another reason now";
const NOTHING: [&str; 0] = [];

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn role(number: usize) -> RoleArn {
    format!("arn:aws:iam::123456789012:role/r{number}")
        .parse()
        .unwrap()
}

/// An identity of this pod, for role 0.
fn of(pod: usize) -> Identity {
    Identity::new(role(0), format!("shop.cart-{pod}"))
}

/// The same, for a pod that shows a token of the ServiceAccount `account`.
fn of_account(pod: usize, account: &str) -> Identity {
    let whose = WebIdentity {
        pod: format!("shop/cart-{pod}").parse().unwrap(),
        uid: format!("0f1e2d3c-4b5a-6978-8796-{pod:012}")
            .parse()
            .unwrap(),
        service_account: account.into(),
        audience: "sts.amazonaws.com".into(),
        life: 3600,
    };
    Identity {
        web_identity: Some(whose),
        ..of(pod)
    }
}

/// Where the session of such a pod has no token.
fn no_token(identity: &Identity, reason: TokenError) -> SourceError {
    SourceError::NoToken {
        role: identity.role.clone(),
        whose: Box::new(identity.web_identity.clone().unwrap()),
        reason,
    }
}

fn gone_wrong() -> SourceError {
    SourceError::Unavailable {
        role: role(0),
        message: "connection refused".to_owned(),
    }
}

fn throttled() -> SourceError {
    SourceError::Throttled {
        message: "Rate exceeded".to_owned(),
    }
}

fn denied(role: RoleArn, code: &str, message: impl Into<String>) -> SourceError {
    SourceError::Denied {
        role,
        code: code.to_owned(),
        message: message.into(),
    }
}

fn no() -> SourceError {
    denied(role(0), "AccessDenied", "node is not authorized")
}

fn fail(
    troubles: &Troubles,
    pods: impl IntoIterator<Item = usize>,
    error: &SourceError,
    held: Held,
) {
    for pod in pods {
        troubles.failed(&of(pod), error, held);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_line_when_it_begins_and_one_when_it_ends_however_many_have_it() {
    for (error, held) in [
        (gone_wrong(), Held::Nothing),
        (throttled(), Held::Nothing),
        (no(), Held::Nothing),
        (no(), Held::Keys),
    ] {
        let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
        for _ in 0..5 {
            fail(&troubles, 0..250, &error, held);
            advance(10 * SECOND).await;
        }
        assert_eq!(heard.take(), [BEGINS], "{error}");
        for pod in 0..250 {
            troubles.worked(&of(pod));
            if pod < 249 {
                assert_eq!(heard.take(), NOTHING);
            }
        }
        let over = heard.records();
        assert_eq!(over.len(), 1);
        assert_eq!(over[0].fields["message"], "STS gives credentials again");
        assert_eq!(
            (&*over[0].fields["identities"], &*over[0].fields["lasted"]),
            ("250", "50s")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_while_all_have_keys_is_not_worth_a_line() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for error in [gone_wrong(), throttled()] {
        fail(&troubles, 0..50, &error, Held::Keys);
        advance(59 * SECOND).await;
        fail(&troubles, 0..50, &error, Held::Keys);
        (0..50).for_each(|pod| troubles.worked(&of(pod)));
        assert_eq!(heard.take(), NOTHING, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_said_after_a_minute_though_all_have_keys() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..50, &gone_wrong(), Held::Keys);
    advance(MINUTE).await;
    fail(&troubles, 0..50, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), [BEGINS]);
}

#[tokio::test(start_paused = true)]
async fn what_leaves_a_pod_without_keys_is_said_at_once() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..50, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), NOTHING);
    fail(&troubles, 50..60, &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS]);
}

#[tokio::test(start_paused = true)]
async fn a_line_says_whose_it_is_what_is_wrong_what_becomes_of_it_and_what_to_do() {
    let invalid = SourceError::Invalid {
        role: role(0),
        code: "PackedPolicyTooLarge".to_owned(),
        message: "120 %".to_owned(),
    };
    let tills = of_account(7, "till");
    let no_answer = no_token(&tills, TokenError::Unavailable("500".to_owned()));
    let refused = no_token(&tills, TokenError::Refused("no".to_owned()));
    let (with, without) = (Held::Keys, Held::Nothing);
    for (identity, error, held, next, advice) in [
        (
            of(7),
            gone_wrong(),
            without,
            "come again (503)",
            "AWS_REGION",
        ),
        (
            of(7),
            throttled(),
            without,
            "come again (503)",
            "less often",
        ),
        (of(7), no(), without, "no role (404)", ""),
        (of(7), no(), with, "keep the keys", ""),
        (of(7), invalid, without, "something else", ""),
        (tills.clone(), no(), without, "no role (404)", ""),
        (tills.clone(), no_answer, without, "(503)", "API server"),
        (tills, refused, without, "no role (404)", ""),
    ] {
        let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
        troubles.failed(&identity, &error, held);
        let records = heard.records();
        let [record] = &*records else {
            panic!("{records:?}");
        };
        let field = |name| record.fields.get(name).map_or("", String::as_str);
        assert_eq!(field("role"), "arn:aws:iam::123456789012:role/r0");
        assert_eq!(field("session"), "shop.cart-7");
        let pod = identity.web_identity.map_or("", |_| "shop/cart-7");
        assert_eq!(field("pod"), pod);
        assert_eq!(field("error"), error.to_string());
        assert!(field("next").contains(next), "{record:?}");
        assert!(field("advice").contains(advice), "{record:?}");
        assert_eq!(field("advice").is_empty(), advice.is_empty(), "{record:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_keys_that_end_are_a_line_and_no_others() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..100, &gone_wrong(), Held::Keys);
    advance(MINUTE).await;
    fail(&troubles, 0..100, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), [BEGINS]);
    troubles.ended(&of(0), Some(&gone_wrong()));
    assert_eq!(heard.take(), [KEYS_END]);
    (1..50).for_each(|pod| troubles.ended(&of(pod), None));
    fail(&troubles, 0..100, &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), NOTHING);
    (0..100).for_each(|pod| troubles.worked(&of(pod)));
    assert_eq!(heard.take(), [AGAIN]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_end_before_anything_was_said_are_the_beginning() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..9, &gone_wrong(), Held::Keys);
    troubles.ended(&of(0), Some(&gone_wrong()));
    troubles.ended(&of(1), Some(&gone_wrong()));
    let records = heard.records();
    assert_eq!(records.len(), 1);
    let field = |name| &*records[0].fields[name];
    assert_eq!(format!("WARN {}", field("message")), KEYS_END);
    assert_eq!(field("error"), gone_wrong().to_string());
    assert!(field("next").contains("503"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_end_though_nothing_is_known_to_be_wrong_are_a_trouble_of_their_own() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    (0..100).for_each(|pod| troubles.ended(&of(pod), None));
    let records = heard.records();
    assert_eq!(records.len(), 1);
    assert_eq!(format!("WARN {}", records[0].fields["message"]), KEYS_END);
    assert!(records[0].fields["advice"].contains("machine slept"));
    troubles.failed(&of(0), &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS], "now it is known");
    (0..100).for_each(|pod| troubles.worked(&of(pod)));
    assert_eq!(heard.take(), [AGAIN, AGAIN]);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_said_every_ten_minutes_with_numbers() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    let mut said = Vec::new();
    for minute in 0..45 {
        fail(&troubles, 0..6, &gone_wrong(), Held::Nothing);
        fail(&troubles, 6..10, &gone_wrong(), Held::Keys);
        said.extend(heard.records().into_iter().map(|record| (minute, record)));
        advance(MINUTE).await;
    }
    let minutes: Vec<_> = said.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [0, 10, 20, 30, 40]);
    let (_, last) = said.last().unwrap();
    assert_eq!(last.fields["message"], "still no new credentials");
    let field = |name| &*last.fields[name];
    assert_eq!(
        ["identities", "without_keys", "lasted"].map(field),
        ["10", "6", "40m"]
    );
    assert!(field("advice").contains("AWS_REGION"));
}

#[tokio::test(start_paused = true)]
async fn what_only_one_had_is_said_again_when_many_have_it() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, [0], &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS]);
    advance(5 * MINUTE).await;
    fail(&troubles, [0], &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), NOTHING);
    fail(&troubles, 1..250, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), [LASTS]);
    advance(MINUTE).await;
    fail(&troubles, 1..250, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), [LASTS]);
    advance(MINUTE).await;
    fail(&troubles, 1..250, &gone_wrong(), Held::Keys);
    assert_eq!(heard.take(), NOTHING, "it grows no more");
}

#[tokio::test(start_paused = true)]
async fn what_comes_and_goes_is_said_once_a_minute_at_most() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for error in [gone_wrong(), throttled(), no()] {
        let mut said = Vec::new();
        for _ in 0..150 {
            fail(&troubles, [0], &error, Held::Nothing);
            advance(SECOND).await;
            troubles.worked(&of(0));
            advance(SECOND).await;
            said.extend(heard.take());
        }
        assert_eq!(said, [BEGINS, AGAIN].repeat(5), "{error}: in five minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_over_for_want_of_people() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..3, &no(), Held::Nothing);
    (0..3).for_each(|pod| troubles.gone(&of(pod)));
    assert_eq!(heard.take(), [BEGINS, GONE]);
    advance(MINUTE).await;
    fail(&troubles, 0..3, &no(), Held::Nothing);
    troubles.worked(&of(0));
    (0..3).for_each(|pod| troubles.gone(&of(pod)));
    assert_eq!(heard.take(), [BEGINS, AGAIN], "it works for one of them");
    (0..9).for_each(|pod| troubles.worked(&of(pod)));
    (0..9).for_each(|pod| troubles.gone(&of(pod)));
    assert_eq!(heard.take(), NOTHING, "nothing was wrong with these");
}

#[tokio::test(start_paused = true)]
async fn who_has_another_trouble_does_not_have_the_first_any_more() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, 0..3, &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS]);
    fail(&troubles, 0..3, &no(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS, MOVED]);
    (0..3).for_each(|pod| troubles.worked(&of(pod)));
    assert_eq!(heard.take(), [AGAIN]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_said_while_a_role_is_refused() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    fail(&troubles, [0], &no(), Held::Nothing);
    fail(&troubles, 1..9, &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS, BEGINS]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_trouble_for_all_pods_that_ask_for_the_role() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for pod in 0..100 {
        let message = format!("Value 'shop.cart-{pod}' is wrong ({pod} of 9)");
        let error = denied(role(0), "AccessDenied", message);
        troubles.failed(&of(pod), &error, Held::Nothing);
    }
    assert_eq!(heard.take(), [BEGINS]);
    let others = [
        denied(role(1), "AccessDenied", "no"),
        denied(role(0), "Other", "no"),
        denied(role(0), "AccessDenied", "an explicit deny"),
    ];
    for (error, pod) in others.iter().zip(100..) {
        troubles.failed(&of(pod), error, Held::Nothing);
        assert_eq!(heard.take(), [BEGINS], "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_done_for_each_service_account_makes_no_trouble_for_each() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for pod in 0..50 {
        let identity = of_account(pod, &format!("account-of-{pod}"));
        let whose = identity.web_identity.as_ref().unwrap();
        let advice = whose.advice("AccessDenied", &role(0)).unwrap();
        let error = denied(role(0), "AccessDenied", format!("no; {advice}"));
        troubles.failed(&identity, &error, Held::Nothing);
    }
    assert_eq!(heard.take(), [BEGINS]);
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_pods_share_the_lack_of_a_token() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    let fail = |pod: usize, account: &str, reason: TokenError| {
        let identity = of_account(pod, account);
        let error = no_token(&identity, reason);
        troubles.failed(&identity, &error, Held::Nothing);
    };
    let refused = || TokenError::Refused("no".to_owned());
    (0..50).for_each(|pod| fail(pod, "till", refused()));
    assert_eq!(heard.take(), [BEGINS]);
    (50..99).for_each(|pod| fail(pod, "kiosk", refused()));
    assert_eq!(heard.take(), [BEGINS]);
    (99..120).for_each(|pod| fail(pod, "till", TokenError::Forbidden("no".to_owned())));
    assert_eq!(heard.take(), [BEGINS]);
    let nobody = || TokenError::Unavailable("no answer".to_owned());
    (120..200).for_each(|pod| fail(pod, &format!("account-{pod}"), nobody()));
    assert_eq!(heard.take(), [BEGINS], "the API server is everybody's");
}

#[tokio::test(start_paused = true)]
async fn tenants_cannot_fill_the_log_and_an_outage_is_said_all_the_same() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for pod in 0..1000 {
        let error = denied(role(pod), "AccessDenied", "no");
        troubles.failed(&of(pod), &error, Held::Nothing);
    }
    let said = heard.take();
    assert_eq!(said[..30], [BEGINS; 30]);
    assert_eq!(said[30..], [NO_ROOM]);
    troubles.failed(&of(1000), &gone_wrong(), Held::Nothing);
    assert_eq!(heard.take(), [BEGINS]);
    // Other roles all the time.
    for minute in 0..30 {
        for pod in 0..1000 {
            let error = denied(role(1000 * minute + pod), "AccessDenied", "no");
            troubles.failed(&of(pod), &error, Held::Nothing);
        }
        advance(MINUTE).await;
    }
    let said = heard.take();
    let lines = |wanted: &str| said.iter().filter(|line| *line == wanted).count();
    assert!(lines(BEGINS) <= 62, "{}", lines(BEGINS));
    assert!(lines(NO_ROOM) <= 3, "{}", lines(NO_ROOM));
    assert_eq!(lines(LASTS), 0);
}

#[tokio::test(start_paused = true)]
async fn what_there_was_no_room_for_is_said_when_there_is() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    let fail = |pod| {
        let error = denied(role(pod), "AccessDenied", "no");
        troubles.failed(&of(pod), &error, Held::Nothing);
    };
    (0..40).for_each(fail);
    assert_eq!(heard.take().len(), 31);
    advance(5 * MINUTE).await;
    (0..40).for_each(fail);
    assert_eq!(heard.take(), [BEGINS; 10]);
    // What nobody was told of, nobody is told the end of.
    (40..60).for_each(fail);
    heard.take();
    (40..60).for_each(|pod| troubles.worked(&of(pod)));
    assert_eq!(heard.take(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn words_that_pods_choose_make_no_more_than_a_few_troubles() {
    let ((heard, _guard), troubles) = (Heard::listen(), Troubles::default());
    for pod in 0..100 {
        let letters: String = format!("{pod:03}")
            .bytes()
            .map(|digit| char::from(digit + 50))
            .collect();
        let error = denied(role(0), "AccessDenied", format!("about {letters}"));
        troubles.failed(&of(pod), &error, Held::Nothing);
    }
    assert_eq!(heard.take(), [BEGINS; 5]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_is_over() {
    let (_heard, troubles) = (Heard::listen(), Troubles::default());
    for pod in 0..1000 {
        let error = denied(role(pod), "AccessDenied", "no");
        troubles.failed(&of(pod), &error, Held::Nothing);
        troubles.gone(&of(pod));
        sleep(30 * SECOND).await;
    }
    assert!(
        troubles.ledger().size() <= 4,
        "{}",
        troubles.ledger().size()
    );
}
