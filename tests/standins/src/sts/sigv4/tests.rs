use super::*;

const CREDENTIAL: &str = "AKIDNODEEXAMPLE00001/20260102/eu-west-1/sts/aws4_request";
const SIGNED: &str = "content-type;host;x-amz-date;x-amz-security-token";
const DATE: &str = "20260102T030405Z";
const NOW: i64 = 1_767_323_045; // the same

fn terms() -> Terms {
    Terms {
        skew: Duration::from_mins(15),
        region: None,
    }
}

fn headers(credential: &str, signed: &str, date: &str) -> HeaderMap {
    let signature = "5".repeat(64);
    let header = format!(
        "{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}"
    );
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, header.parse().unwrap());
    headers.insert("x-amz-date", date.parse().unwrap());
    headers.insert("x-amz-security-token", "session".parse().unwrap());
    headers
}

fn check(terms: &Terms, headers: &HeaderMap) -> Result<Signer, Refusal> {
    terms.check(headers, Timestamp::constant(NOW, 0))
}

fn code(headers: &HeaderMap) -> Option<Code> {
    check(&terms(), headers).err().map(|refusal| refusal.code)
}

#[test]
fn a_good_signature_says_who_signs_and_for_where() {
    let signer = check(&terms(), &headers(CREDENTIAL, SIGNED, DATE)).unwrap();
    assert_eq!(signer.access_key_id, "AKIDNODEEXAMPLE00001");
    assert_eq!(signer.region, "eu-west-1");
    assert_eq!(signer.session_token.as_deref(), Some("session"));
}

#[test]
fn a_scope_must_be_todays_for_sts_and_for_a_region() {
    for scope in [
        "AKID/20260103/eu-west-1/sts/aws4_request",
        "AKID/20260102/eu-west-1/ec2/aws4_request",
        "AKID/20260102/eu-west-1/sts/aws3_request",
        "AKID/20260102/aws-global/sts/aws4_request",
        "AKID/20260102//sts/aws4_request",
    ] {
        let headers = headers(scope, SIGNED, DATE);
        assert_eq!(code(&headers), Some(Code::SignatureDoesNotMatch), "{scope}");
    }
    for scope in [
        "AKID/20260102/eu-west-1/sts",
        "/20260102/eu-west-1/sts/aws4_request",
        "",
    ] {
        let headers = headers(scope, SIGNED, DATE);
        assert_eq!(code(&headers), Some(Code::IncompleteSignature), "{scope}");
    }
}

#[test]
fn the_region_may_be_prescribed() {
    let terms = Terms {
        region: Some("us-east-1".to_owned()),
        ..terms()
    };
    let refusal = check(&terms, &headers(CREDENTIAL, SIGNED, DATE)).unwrap_err();
    assert_eq!(
        refusal.message,
        "Credential should be scoped to a valid region."
    );
}

#[test]
fn host_and_every_header_of_amazon_must_be_signed() {
    for signed in [
        "x-amz-date;x-amz-security-token",
        "host;x-amz-security-token",
        "host;x-amz-date",
        "",
    ] {
        let headers = headers(CREDENTIAL, signed, DATE);
        assert_eq!(
            code(&headers),
            Some(Code::SignatureDoesNotMatch),
            "{signed}"
        );
    }
}

#[test]
fn the_date_may_be_fifteen_minutes_off() {
    for (date, refused) in [
        ("20260102T024905Z", None),
        ("20260102T031905Z", None),
        ("20260102T024904Z", Some(Code::SignatureDoesNotMatch)),
        ("20260102T031906Z", Some(Code::SignatureDoesNotMatch)),
        ("20260102", Some(Code::IncompleteSignature)),
        ("2026-01-02T03:04:05Z", Some(Code::SignatureDoesNotMatch)),
        ("20260102T250000Z", Some(Code::IncompleteSignature)),
    ] {
        assert_eq!(code(&headers(CREDENTIAL, SIGNED, date)), refused, "{date}");
    }
}

#[test]
fn old_and_early_signatures_are_told_apart() {
    let message = |date| {
        let headers = headers(CREDENTIAL, SIGNED, date);
        check(&terms(), &headers).unwrap_err().message
    };
    assert!(message("20260102T020000Z").starts_with("Signature expired: 20260102T020000Z"));
    assert!(message("20260102T040000Z").starts_with("Signature not yet current: 20260102T040000Z"));
}

#[test]
fn what_is_no_signature_is_refused() {
    assert_eq!(
        code(&HeaderMap::new()),
        Some(Code::MissingAuthenticationToken)
    );
    for header in [
        "",
        "Bearer token",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
        "AWS4-HMAC-SHA256 Credential=a/20260102/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=00",
        "AWS4-ECDSA-P256-SHA256 Credential=a/20260102/sts/aws4_request, SignedHeaders=host, Signature=00",
    ] {
        let mut headers = headers(CREDENTIAL, SIGNED, DATE);
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        assert_eq!(code(&headers), Some(Code::IncompleteSignature), "{header}");
    }
    let mut headers = headers(CREDENTIAL, SIGNED, DATE);
    headers.remove("x-amz-date");
    assert_eq!(code(&headers), Some(Code::IncompleteSignature));
}
