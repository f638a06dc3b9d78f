use kube::core::response::{StatusCause, StatusDetails};

use super::*;

fn status(code: u16, reason: &str, message: &str) -> Failure {
    Failure::Refused(Box::new(Status::failure(message, reason).with_code(code)))
}

#[test]
fn a_status_is_what_its_code_or_its_reason_says() {
    for (code, word, reason) in [
        (410, "Expired", Reason::Expired),
        (410, "Gone", Reason::Expired),
        (0, "Expired", Reason::Expired),
        (0, "", Reason::Unreadable),
        (401, "Unauthorized", Reason::Unauthorized),
        (403, "Forbidden", Reason::Forbidden),
        (429, "TooManyRequests", Reason::Throttled),
        (500, "InternalError", Reason::Server),
        (503, "ServiceUnavailable", Reason::Server),
        (504, "Timeout", Reason::Server),
        (400, "BadRequest", Reason::Refused),
        (404, "NotFound", Reason::Refused),
        (422, "Invalid", Reason::Refused),
    ] {
        let failure = status(code, word, "");
        assert_eq!(failure.reason(), reason, "{code} {word}");
        assert_eq!(failure.is_about_parameters(), matches!(code, 400 | 422));
    }
}

#[test]
fn a_server_that_is_behind_us_is_another_one() {
    let cause = StatusCause {
        reason: TOO_LARGE.to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    let details = StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: vec![cause],
        retry_after_seconds: 1,
    };
    let status = Status::failure("", "Timeout")
        .with_code(504)
        .with_details(details);
    let failure = Failure::from(kube::Error::Api(Box::new(status)));
    assert_eq!(failure.reason(), Reason::Disordered);
    assert!(failure.reason().forgets());
    assert_eq!(failure.wishes_seconds(), 1);
}

#[test]
fn a_failure_says_what_the_server_said_in_one_line() {
    for (failure, said) in [
        (
            status(403, "Forbidden", "pods is forbidden\nsee above"),
            "pods is forbidden",
        ),
        (status(500, "", ""), "the API server says 500"),
        (
            status(0, "", ""),
            "an object cannot be read: one of its fields is of another type",
        ),
        (
            Failure::Invalid("metadata.uid: it is missing".to_owned()),
            "metadata.uid: it is missing",
        ),
    ] {
        assert_eq!(failure.to_string(), said);
    }
}

#[test]
fn an_answer_that_is_no_json_is_unreadable() {
    let error = serde_json::from_str::<u8>("<html>").unwrap_err();
    let failure = Failure::from(kube::Error::SerdeError(error));
    assert_eq!(failure.reason(), Reason::Unreadable);
}
