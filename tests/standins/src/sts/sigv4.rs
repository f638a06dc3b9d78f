//! The signature of a call, as far as it can be judged without the secret key: its form, scope, headers and date.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::code::{Code, Refusal};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs, and for where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) access_key_id: String,
    pub(super) region: String,
    pub(super) session_token: Option<String>,
}

/// What a signature must satisfy.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// How far its date may be from ours.
    pub(super) skew: Duration,
    /// The only Region it may be for, if there is one.
    pub(super) region: Option<String>,
}

impl Terms {
    /// Checks the signature that `headers` carry, at `now`.
    pub(super) fn check(&self, headers: &HeaderMap, now: Timestamp) -> Result<Signer, Refusal> {
        let header = text(headers, AUTHORIZATION.as_str());
        let header = header.ok_or(Code::MissingAuthenticationToken)?;
        let signature = Signature::parse(header).ok_or(Code::IncompleteSignature)?;
        let date = text(headers, "x-amz-date").ok_or(Code::IncompleteSignature)?;
        signature.check_headers(headers)?;
        self.check_scope(&signature, date)?;
        self.check_date(date, now)?;
        Ok(Signer {
            access_key_id: signature.access_key_id.to_owned(),
            region: signature.region.to_owned(),
            session_token: text(headers, "x-amz-security-token").map(ToOwned::to_owned),
        })
    }

    fn check_scope(&self, signature: &Signature<'_>, date: &str) -> Result<(), Refusal> {
        let refuse = |message: String| Err(Refusal::new(Code::SignatureDoesNotMatch, message));
        if signature.service != "sts" {
            return refuse("Credential should be scoped to correct service: 'sts'.".to_owned());
        }
        if signature.terminator != "aws4_request" {
            return refuse(
                "Credential should be scoped with a valid terminator: 'aws4_request'.".to_owned(),
            );
        }
        let wrong = |region: &str| self.region.as_deref().is_some_and(|only| only != region);
        if !is_region(signature.region) || wrong(signature.region) {
            return refuse("Credential should be scoped to a valid region.".to_owned());
        }
        if !date.starts_with(signature.day) {
            return refuse(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{date}'.",
                signature.day
            ));
        }
        Ok(())
    }

    fn check_date(&self, date: &str, now: Timestamp) -> Result<(), Refusal> {
        let signed = parse_date(date).ok_or(Code::IncompleteSignature)?;
        if signed.duration_since(now).unsigned_abs() <= self.skew {
            return Ok(());
        }
        let ours = now.strftime("%Y%m%dT%H%M%SZ");
        let wrong = if signed < now {
            format!("Signature expired: {date} is now earlier than {ours}")
        } else {
            format!("Signature not yet current: {date} is still later than {ours}")
        };
        Err(Refusal::new(Code::SignatureDoesNotMatch, wrong))
    }
}

/// The `Authorization` header.
struct Signature<'a> {
    access_key_id: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    headers: Vec<&'a str>,
}

impl<'a> Signature<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, terminator] = scope[..] else {
            return None;
        };
        let headers = field("SignedHeaders")?.split(';').collect();
        let is_whole = is_sha256(field("Signature")?) && !access_key_id.is_empty();
        is_whole.then_some(Self {
            access_key_id,
            day,
            region,
            service,
            terminator,
            headers,
        })
    }

    /// `host` must be signed, and every `x-amz-` header that there is.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let ours = headers.keys().map(HeaderName::as_str);
        let ours = ours.filter(|name| name.starts_with("x-amz-"));
        for name in ours.chain(["host"]) {
            if !self.headers.contains(&name) {
                let message =
                    format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
                return Err(Refusal::new(Code::SignatureDoesNotMatch, message));
            }
        }
        Ok(())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let number = parts.last().is_some_and(|last| last.parse::<u8>().is_ok());
    number && parts.len() >= 3 && parts.iter().all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
