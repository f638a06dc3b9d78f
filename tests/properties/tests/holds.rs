//! The properties that are fuzzed (`cargo xtask fuzz`), without a fuzzer: every input that was written for it or kept, and
//! inputs made of pieces that were trouble somewhere. The route is compared with the real service as its stand-in reads it.

// Always so in a test; it also tells clippy that helpers may unwrap.
#![cfg(test)]

use std::{fs, path::Path};

use bpf2iam::imds::{Resource, Route, route};
use bpf2iam_properties::{head, metadata, route as target, token};
use proptest::{collection::vec, prelude::*, sample::select};

/// Spellings of what no pod gets, of the real service's own kind and of kinds that other services understand.
const SECRETS: [&str; 34] = [
    "/latest/user-data",
    "/latest/user-data/",
    "/1.0/user-data",
    "//latest//user-data",
    "/./latest/./user-data",
    "/latest/%75ser-data",
    "/latest/%75%73%65%72%2d%64%61%74%61",
    "/latest%2Fuser-data",
    "/latest/meta-data/../user-data",
    "/latest/meta-data/%2e%2e/user-data",
    "/latest/meta-data%2f..%2fuser-data",
    "/latest/dynamic/../../latest/user-data",
    "/1.0/../latest/user-data",
    "/latest/user-data?x=/latest/meta-data/placement/region",
    "/latest/user-data#/placement/region",
    "http://169.254.169.254/latest/user-data",
    "/latest/meta-data/identity-credentials",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/2021-03-23/meta-data//identity-credentials/ec2/info",
    "/latest/meta-data/%69dentity-credentials/",
    "/latest/meta-data/iam/security-credentials-extended",
    "/latest/meta-data/iam/security-credentials-extended/node-role",
    "/latest/meta-data/iam/security-credentials/a/b",
    "/latest/meta-data/iam/other",
    // Only somebody else's:
    "/latest/%2575ser-data",
    "/latest/meta-data/%252e%252e/user-data",
    "/latest/meta-data/..%255cuser-data",
    "/latest/User-Data",
    "/latest/user-data;x",
    "/latest/user-data%00",
    "/latest/user-data%20",
    "/latest\\user-data",
    "/latest/meta-data/..\\user-data",
    "/../latest/user-data",
];

/// A property.
type Check = fn(&[u8]);

fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let dirs = ["seeds", "corpus"].map(|kind| fuzz.join(kind).join(target));
    let files = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn what_was_ever_tried_still_holds() {
    let checks: [(&str, Check); 4] = [
        ("route", target::check),
        ("token", token::check),
        ("head", head::check),
        ("metadata", metadata::check),
    ];
    for (target, check) in checks {
        let inputs = inputs(target);
        assert!(inputs.len() > 10, "{target} has no seeds");
        for (path, input) in inputs {
            println!("{path}"); // of a failure, the last one
            check(&input);
        }
    }
}

#[test]
fn no_spelling_of_a_secret_leads_to_the_real_service() {
    for spelling in SECRETS {
        let (method, headers) = (hyper::Method::GET, hyper::HeaderMap::new());
        // What is no target at all, hyper refuses.
        let Ok(target) = spelling.parse() else {
            continue;
        };
        let route = route(&method, &target, &headers);
        let absent = matches!(
            route,
            Route::Read {
                resource: Resource::Absent,
                ..
            }
        );
        assert!(absent, "{spelling}: {route:?}");
        target::check(format!("GET {spelling}").as_bytes());
    }
}

/// A text of so many of these pieces, and of characters that are none of them.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(pieces).prop_map(str::to_owned),
        1 => "[ -~]",
        1 => "\\PC",
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_target_is_read_as_the_real_service_reads_it(rest in text(&[
        "/", "//", "/./", "/../", "/..", "%2f", "%2e", "%2E%2e", "%25", "%252f", "%2570lacement", "%00", "%5c", "\\", ";", "?", "#", "+", "%2B",
        "latest", "/latest", "1.0", "2021-03-23", "/meta-data", "/dynamic", "/user-data", "/api/token", "/iam", "/info",
        "/security-credentials", "/identity-credentials", "/placement/region", "%75ser-data", "%69am", "a-role",
    ])) {
        for method in ["GET", "PUT", "POST"] {
            for begin in ["/", "/latest/", "/latest/meta-data/", "http://a/"] {
                let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60";
                target::check(format!("{method} {begin}{rest}\n{ttl}").as_bytes());
            }
        }
    }

    #[test]
    fn no_bytes_are_a_token_but_an_issued_one(bytes in vec(any::<u8>(), 0..80)) {
        token::check(&bytes);
    }

    #[test]
    fn a_head_is_read_as_hyper_reads_it(rest in text(&[
        "\r\n", "\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", ":", ",", "\0", "\u{b}", "\u{7f}", "\u{85}",
        "Host: a\r\n", "X: y\r\n", "X:\r\n y", "Content-Length: 5\r\n", "Content-Length: 0\r\n", "content-length:6,6",
        "Transfer-Encoding: chunked\r\n", "transfer-encoding: ", "chunked", "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n", "hello", "0\r\n\r\n", "5\r\nhello\r\n",
    ])) {
        for line in ["GET / HTTP/1.1\r\n", "PUT /latest/api/token HTTP/1.0\r\n", "POST http://a/", ""] {
            head::check(format!("{line}{rest}").as_bytes());
        }
    }

    #[test]
    fn a_pattern_means_what_it_says(pattern in "meta-data(/[ab*]{1,6}){0,3}", path in "meta-data(/[ab]{1,4}){0,3}") {
        metadata::check(format!("\n{pattern}\n\n{path}\n").as_bytes());
    }

    #[test]
    fn nobody_lets_a_secret_through(input in text(&[
        "\n", "\n", "\n", "\n", " ", ",", "/", "**", "*", "/**/", "optional", "required", "latest/", "meta-data", "/iam",
        "user-data", "/identity-credentials", "dynamic", "/instance-identity", "/pkcs7", "/document", "/placement",
        "/region", "/tags/instance/", "meta-data/iam/", "iam/", "..", "%2f", "{\"region\":\"a\"", "\"privateIp\":\"b\"}",
    ])) {
        metadata::check(input.as_bytes());
    }
}
