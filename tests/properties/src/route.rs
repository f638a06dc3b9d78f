//! Requests: a line with method and target, and a line for each header.
//!
//! Whatever a request asks for by our reading, the stand-in for the real service, which is as lenient as any was ever seen to
//! be, reads the same, in the request and in what we would ask instead. And whatever may be asked of the real service leads
//! to none of the node's secrets, not even for a reader who decodes what is decoded already, does not tell capitals, or takes
//! backslashes for slashes.

use std::sync::LazyLock;

use bpf2iam::{
    imds::{Resource, Route, route},
    metadata::{Allow, View},
    upstream,
};
use bpf2iam_standins::imds::{Target, target_of};
use hyper::{
    HeaderMap, Method, Uri,
    header::{HeaderName, HeaderValue},
};

use crate::reader;

/// What is allowed by somebody who allows everything.
static EVERYTHING: LazyLock<Allow> =
    LazyLock::new(|| Allow::parse(["**"]).expect("`**` is a pattern"));

/// Has a request sorted.
///
/// # Panics
///
/// If it is taken for something that it is not, or leads to a secret of the node.
pub fn check(input: &[u8]) {
    let Some((method, target, headers)) = parse(input) else {
        return; // HTTP has no such request
    };
    let read = target_of(target.path());
    match route(&method, &target, &headers) {
        Route::Token(_) => assert_eq!(read, Target::Token, "{target}"),
        Route::Read { resource, .. } => check_resource(&resource, &read),
        Route::Refused { .. } => {}
    }
}

fn check_resource(resource: &Resource, read: &Target) {
    let tree = |path: &str| Target::Tree(path.to_owned());
    let ours = match resource {
        Resource::Versions => Target::Versions,
        Resource::Iam => tree("meta-data/iam"),
        Resource::IamInfo => tree("meta-data/iam/info"),
        Resource::RoleList => tree("meta-data/iam/security-credentials"),
        Resource::RoleCredentials(name) => {
            tree(&format!("meta-data/iam/security-credentials/{name}"))
        }
        Resource::Tree(path) => {
            check_path(path);
            tree(path)
        }
        Resource::Absent => return,
    };
    assert_eq!(&ours, read, "{resource:?}");
}

/// Checks what a pod may have of the tree to which everything is allowed.
fn check_path(path: &str) {
    let (operator, namespace) = (&*EVERYTHING, &*EVERYTHING);
    let view = View {
        operator,
        namespace,
    };
    if view.may_read(path) || view.may_list(path) {
        let secret = reader::finds_a_secret(path);
        assert!(!secret, "{path:?} is, to somebody, a secret of the node");
        let asked = upstream::path::target(path).unwrap_or_default();
        let asked: Uri = asked.parse().expect("it can be asked for");
        assert_eq!(target_of(asked.path()), Target::Tree(path.to_owned()));
        assert_eq!(asked.query(), None, "{asked}");
    }
}

fn parse(input: &[u8]) -> Option<(Method, Uri, HeaderMap)> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = Uri::try_from(words.next()?).ok()?;
    let mut headers = HeaderMap::new();
    headers.extend(lines.filter_map(header));
    Some((method, target, headers))
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
    let name = HeaderName::from_bytes(name).ok()?;
    let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
    Some((name, value))
}
