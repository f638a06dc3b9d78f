//! The explanation for people.

use jiff::Timestamp;

use crate::{
    id::Excerpt,
    status::Keys,
    table::{Cell, Tone, paint, table},
    terminal::Colour,
};

use super::{Case, Explanation, Found, Metadata, Outcome, Restriction, Session, Step};

/// The whole page, at the time `now`.
pub(super) fn page(explanation: &Explanation, now: Timestamp, colour: Colour) -> String {
    let cases = explanation.cases.iter();
    let parts: Vec<_> = std::iter::once(head(explanation, colour))
        .chain(cases.map(|one| case(one, now, colour)))
        .chain(
            explanation
                .metadata
                .as_ref()
                .map(|one| metadata(one, colour)),
        )
        .collect();
    parts.join("\n")
}

fn head(explanation: &Explanation, colour: Colour) -> String {
    let title = format!("{}/{}", explanation.namespace, explanation.name);
    let account = match &explanation.service_account {
        Some(name) => format!("ServiceAccount {name}"),
        None => "no ServiceAccount".to_owned(),
    };
    let title = paint(&plain(&title), Tone::Heading, colour);
    let mut head = format!("{title}, {}, uid {}\n", plain(&account), explanation.uid);
    for supposed in &explanation.supposed {
        let line = format!("supposed: {}", plain(supposed));
        head.push_str(&paint(&line, Tone::Waiting, colour));
        head.push('\n');
    }
    head
}

fn case(case: &Case, now: Timestamp, colour: Colour) -> String {
    let whose = match &case.container {
        Some(name) => format!("Container {name}"),
        None => "Containers without a role of their own".to_owned(),
    };
    let whose = paint(&plain(&whose), Tone::Heading, colour);
    let (text, tone) = outcome(&case.outcome);
    let result = paint(&plain(&text), tone, colour);
    let mut lines = format!("{whose}: {result}\n");
    let rows = case.steps.iter().map(row).collect();
    lines.push_str(&table(["RULE", "WHERE", "SAYS"], rows, colour));
    let parts = case.session.iter().flat_map(Session::lines);
    let about = [
        ("namespace", restriction(&case.restriction)),
        ("session", session(case)),
    ];
    for (title, text) in about
        .into_iter()
        .chain(parts)
        .chain([("keys", keys(case, now))])
    {
        if let Some(text) = text {
            lines.extend([title, ": ", &plain(&text), "\n"]);
        }
    }
    lines
}

fn metadata(metadata: &Metadata, colour: Colour) -> String {
    let mut text = paint("Metadata service", Tone::Heading, colour) + "\n";
    for (title, line) in metadata.lines() {
        text.extend([title, ": ", &plain(&line), "\n"]);
    }
    text
}

fn row(step: &Step) -> [Cell; 3] {
    let mark = if step.decides { "> " } else { "  " };
    let (says, tone) = match &step.finding {
        Found::Silent => ("-".to_owned(), Tone::Plain),
        Found::NoRole => ("no role".to_owned(), Tone::Plain),
        Found::Role { role } => (role.clone(), Tone::Plain),
        Found::Node { entry } => (format!("the node's own role: {entry}"), Tone::Plain),
        Found::Invalid { reason } => (format!("wrong: {reason}"), Tone::Bad),
        Found::Unknown { reason } => (reason.clone(), Tone::Waiting),
    };
    [
        Cell::from(format!("{mark}{}", step.rule)),
        Cell::from(&step.place),
        Cell::new(&says, tone),
    ]
}

fn outcome(outcome: &Outcome) -> (String, Tone) {
    match outcome {
        Outcome::Role { role, .. } => (role.clone(), Tone::Good),
        Outcome::Node { .. } => (
            "the node's own role; requests are passed on".to_owned(),
            Tone::Good,
        ),
        Outcome::Nothing { reason } => (format!("no role: {reason}"), Tone::Bad),
        Outcome::Unknown { reason } => (format!("not decided: {reason}"), Tone::Waiting),
    }
}

fn restriction(restriction: &Restriction) -> Option<String> {
    match restriction {
        Restriction::Off => Some("restricts nothing (--namespace-restrictions is off)".to_owned()),
        Restriction::NotAsked => None,
        Restriction::Exempt => Some("every pod may have the default role".to_owned()),
        Restriction::Permitted { by } => Some(format!("permits the role, by {}", quoted(by))),
        Restriction::Refused { reason, entries } if entries.is_empty() => {
            Some(format!("refuses the role: {reason}"))
        }
        Restriction::Refused { reason, entries } => Some(format!(
            "refuses the role: {reason}; permitted are {}",
            quoted(entries)
        )),
    }
}

fn quoted(entries: &[String]) -> String {
    let quoted: Vec<_> = entries
        .iter()
        .map(|one| Excerpt::of(one).to_string())
        .collect();
    quoted.join(", ")
}

fn session(case: &Case) -> Option<String> {
    let Outcome::Role {
        by,
        session_name,
        external_id,
        ..
    } = &case.outcome
    else {
        return None;
    };
    let named = match &case.session {
        Some(session) => format!("{session_name}, by {}", session.name_by),
        None => session_name.clone(),
    };
    let external_id = match external_id {
        Some(id) => format!(", with the external id {id}"),
        None => String::new(),
    };
    Some(format!("{named}; assumed by {by}{external_id}"))
}

fn keys(case: &Case, now: Timestamp) -> Option<String> {
    Some(match case.keys.as_ref()? {
        Keys::Fetching { next } => format!("being fetched{}", again(*next)),
        Keys::Ready { expires, .. } if *expires <= now => format!("expired at {expires}"),
        Keys::Ready {
            access_key_id,
            refreshed,
            expires,
            next,
            error,
        } => {
            let renewal = match error {
                None => next.map_or_else(String::new, |next| format!(", renewed at {next}")),
                Some(error) => format!("; the last renewal failed: {error}{}", again(*next)),
            };
            format!("{access_key_id}, from {refreshed} to {expires}{renewal}")
        }
        Keys::Failed { message, next } => format!("none: {message}{}", again(*next)),
    })
}

/// When STS is asked again.
fn again(next: Option<Timestamp>) -> String {
    next.map_or_else(String::new, |next| format!("; asked again at {next}"))
}

/// What came from outside in part, without control characters.
fn plain(text: &str) -> String {
    let char = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(char).collect()
}
