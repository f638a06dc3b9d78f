//! Where STS is said to be, checked before it is called: what the SDK says of a wrong URL repeats the whole request.

use hyper::{Uri, http::uri::Scheme};

use super::Error;

/// Refuses what is no URL. What may have a password in it is not repeated.
pub(super) fn check(given_by: &'static str, text: &str) -> Result<(), Error> {
    let uri = text.parse::<Uri>();
    let known = [Scheme::HTTP, Scheme::HTTPS];
    let is_url = uri.is_ok_and(|uri| {
        let is_known = uri.scheme().is_some_and(|scheme| known.contains(scheme));
        is_known && uri.host().is_some_and(|host| !host.is_empty())
    });
    let may_be_secret = text.contains(['@', '?']);
    match (is_url && !may_be_secret, may_be_secret) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::EndpointWithSecret(given_by)),
        (false, false) => Err(Error::Endpoint(given_by, text.to_owned())),
    }
}

/// Whether it can be a part of a host's name, as regions are. Those of other clouds than AWS's may have capitals.
pub(super) fn is_region(text: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= 63 && text.bytes().all(is_of_label) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_refused_and_a_password_not_repeated() {
        for url in [
            "https://sts.eu-west-1.amazonaws.com",
            "http://127.0.0.1:8080",
            "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com/",
        ] {
            assert!(check("AWS_ENDPOINT_URL_STS", url).is_ok(), "{url}");
        }
        for text in [
            "garbage",
            "sts.eu-west-1.amazonaws.com",
            "ftp://sts",
            "https://",
            "https://a b",
            "",
        ] {
            let refused = check("AWS_ENDPOINT_URL_STS", text).unwrap_err();
            let begin = format!("AWS_ENDPOINT_URL_STS is {text:?}, which is no URL");
            assert!(refused.to_string().starts_with(&begin), "{refused}");
        }
        for text in [
            "https://u:hunter2@sts",
            "https://sts?hunter2",
            "u:hunter2@sts",
        ] {
            let refused = check("AWS_ENDPOINT_URL_STS", text).unwrap_err();
            let told = format!("{refused} {refused:?}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_region_is_a_part_of_a_name() {
        for (text, is_one) in [
            ("eu-west-1", true),
            ("Default", true),
            ("eu west", false),
            (" eu-west-1", false),
            ("eu-west-1\n", false),
            ("eu_west_1", false),
            ("eu-west-1.evil.example", false),
            ("-", false),
        ] {
            assert_eq!(is_region(text), is_one, "{text:?}");
        }
    }
}
