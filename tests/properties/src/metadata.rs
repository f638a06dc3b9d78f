//! What annotations, flags and the real service's own listings let pods see.
//!
//! The input's lines are: `bpf2iam.io/imds-tokens`, `bpf2iam.io/allow-paths`, entries of `--allow-path`, a path, and from
//! there on what the real service has at that path. Whatever they say, nothing of the node's secrets is let through, and no
//! proof of its identity by a namespace alone.

use bpf2iam::metadata::{
    Access, Allow, Glob, Iam, Place, Said, TokenUse, View, access, filtered, without_secrets,
};
use serde_json::{Map, Value};

use crate::reader;

/// What is secret, and what many might take for it.
const SECRETS: [&str; 8] = [
    "user-data",
    "user-data/x",
    "meta-data/iam",
    "meta-data/iam/info",
    "meta-data/iam/security-credentials/node-role",
    "meta-data/iam/security-credentials-extended",
    "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "meta-data/IAM/info",
];
const PROOFS: [&str; 3] = [
    "dynamic/instance-identity/pkcs7",
    "dynamic/instance-identity/rsa2048",
    "dynamic/instance-identity/signature",
];
/// Keys of the identity document whose values pods do not get.
const NULLED: [&str; 7] = [
    "billingProducts",
    "devpayProductCodes",
    "imageId",
    "kernelId",
    "marketplaceProductCodes",
    "privateIp",
    "ramdiskId",
];
/// More than that is told of no namespace, and no line of it is longer.
const TOLD: (usize, usize) = (40, 600);

/// Has all of it understood.
///
/// # Panics
///
/// If a secret is let through, or something is understood in two ways.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(5, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (tokens, namespace, operator, path, there) = (next(), next(), next(), next(), next());
    let said = Said::parse(Some(tokens), Some(namespace));
    check_said(&said, tokens);
    let operator = Allow::parse(operator.split_whitespace()).unwrap_or_default();
    for allow in [&said.allow, &operator] {
        check_text(allow);
    }
    let view = View {
        operator: &operator,
        namespace: &said.allow,
    };
    check_path(&view, path);
    for iam in [Iam::Shown, Iam::Hidden] {
        check_listing(&view, path, there, iam);
    }
    check_document(there);
    for pattern in namespace.split_whitespace() {
        check_pattern(pattern, path);
    }
}

fn check_said(said: &Said, tokens: &str) {
    let optional = said.tokens == Some(TokenUse::Optional);
    assert_eq!(optional, tokens.trim() == "optional", "{tokens:?}");
    let (lines, longest) = TOLD;
    let few = said.wrong.len() <= lines && said.wrong.iter().all(|line| line.len() <= longest);
    assert!(few, "a tenant makes the agent say {:?}", said.wrong);
}

/// What is printed is what is meant.
fn check_text(allow: &Allow) {
    let text = allow.to_string();
    let entries = text.split(", ").filter(|entry| !entry.is_empty());
    assert_eq!(Allow::parse(entries).as_ref(), Ok(allow), "{text:?}");
}

fn check_path(view: &View<'_>, path: &str) {
    for path in SECRETS.into_iter().chain([path]) {
        if view.may_read(path) || view.may_list(path) {
            assert!(!reader::finds_a_secret(path), "{path:?} by {view:?}");
            assert_ne!(access(path), Access::Never, "{path:?} by {view:?}");
        }
        let made = Place::default().read(path, None);
        assert!(made.is_none() || !reader::finds_a_secret(path), "{path:?}");
    }
    let tenant = View {
        operator: &Allow::default(),
        ..*view
    };
    let proof = PROOFS.into_iter().find(|proof| tenant.may_read(proof));
    assert_eq!(proof, None, "by {tenant:?}");
}

/// What may be read is read as it is. Of a listing pods see the lines that they may see, and no others; but for the one
/// that we add.
fn check_listing(view: &View<'_>, directory: &str, listing: &str, iam: Iam) {
    let Some(seen) = filtered(directory, listing, view, iam) else {
        return;
    };
    if view.may_read(directory) {
        return assert_eq!(seen, listing, "{directory:?} by {view:?}");
    }
    let ours = (directory == "meta-data" && iam == Iam::Shown).then_some("iam/");
    for line in seen.split('\n').filter(|line| Some(*line) != ours) {
        assert!(listing.split('\n').any(|there| there == line), "{line:?}");
        let name = line.trim_end_matches('/');
        let path = format!("{directory}/{name}");
        let path = path.trim_start_matches('/');
        assert!(!reader::finds_a_secret(path), "{path:?} by {view:?}");
    }
}

fn check_document(text: &str) {
    let Some(document) = without_secrets(text.as_bytes()) else {
        return;
    };
    let values: Map<String, Value> = serde_json::from_str(&document).expect("it is JSON");
    assert!(values["region"].is_string(), "{document}");
    for key in NULLED {
        let value = values.get(key).unwrap_or(&Value::Null);
        assert!(value.is_null(), "{key} in {document}");
    }
    assert_eq!(without_secrets(document.as_bytes()), Some(document));
}

/// A pattern means what it says, and reaches each directory above what it means.
fn check_pattern(pattern: &str, path: &str) {
    let Ok(glob) = pattern.parse::<Glob>() else {
        return;
    };
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
    let matches = glob.matches(path);
    let pattern = glob.to_string();
    assert_eq!(matches, means(&pattern, &names), "{pattern:?} {path:?}");
    if matches {
        for above in 0..names.len() {
            let directory = names.split_at(above).0.join("/");
            assert!(glob.reaches(&directory), "{pattern:?} {directory:?}");
        }
    }
}

/// Whether a pattern means a path, found in the plainest way: all possibilities, from the end, each looked at once.
fn means(pattern: &str, names: &[&str]) -> bool {
    let segments: Vec<_> = pattern.split('/').collect();
    aligned(&segments, names, "**", |segment, name| {
        let (segment, name): (Vec<_>, Vec<_>) = (segment.chars().collect(), name.chars().collect());
        aligned(&segment, &name, '*', |one, other| one == other)
    })
}

/// Whether `pattern` can be laid over `text`, where `any` stands for as much as one likes.
fn aligned<P: PartialEq + Copy, T: Copy>(
    pattern: &[P],
    text: &[T],
    any: P,
    fits: impl Fn(P, T) -> bool,
) -> bool {
    // Whether what is left of the pattern can be laid over each of the ends of the text, the longest first.
    let mut rest = vec![false; text.len()];
    rest.push(true);
    for part in pattern.iter().rev() {
        let mut with = vec![false; rest.len()];
        for at in (0..rest.len()).rev() {
            let next = text.get(at);
            with[at] = if *part == any {
                rest[at] || next.is_some() && with[at + 1]
            } else {
                next.is_some_and(|next| rest[at + 1] && fits(*part, *next))
            };
        }
        rest = with;
    }
    rest[0]
}
