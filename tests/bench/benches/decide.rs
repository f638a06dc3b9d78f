//! How long it takes to decide which role a pod may have, for every kind of pod that there is, against the reading of one
//! ARN. The result is a line of JSON, with times in nanoseconds.

use std::{
    collections::BTreeMap,
    hint::black_box,
    io::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use anyhow::{Result, ensure};
use bpf2iam::{
    id::{ContainerId, PodRef, RoleArn},
    pods::{
        Container, Namespace, Pod, ServiceAccount, Subject,
        annotation::{ALLOWED_ROLES, CONTAINER, DEFAULT_ROLE, PERMITTED, ROLE, ROLE_ARN},
        binding::{Binding, Cluster, Policy, SessionTags, Template, decide},
        restriction::{Format, Rules},
    },
};
use serde_json::json;

const BASE: &str = "arn:aws:iam::123456789012:role/";
const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/// A turn is as many decisions as take some hundred microseconds. The turn in the middle counts.
const MANY: Turns = Turns {
    turns: 501,
    calls: 200,
};
/// The same for what takes milliseconds.
const FEW: Turns = Turns {
    turns: 21,
    calls: 1,
};
/// Entries of a list of allowed roles. The last one is the one that matches.
const ENTRIES: usize = 50;

/// How often something is done.
#[derive(Clone, Copy)]
struct Turns {
    turns: usize,
    /// In each of them.
    calls: u32,
}

/// A pod of one kind, and the operator's policy.
struct Kind {
    name: &'static str,
    subject: Subject,
    policy: Policy,
    container: Option<ContainerId>,
    /// What has to come out.
    wanted: fn(&Binding) -> bool,
}

fn main() -> Result<()> {
    let mut decisions = Vec::new();
    for kind in kinds()? {
        let binding = decide(&kind.subject, kind.container, &kind.policy);
        ensure!((kind.wanted)(&binding), "{}: {binding:?}", kind.name);
        let took = MANY.median(|| decide(black_box(&kind.subject), kind.container, &kind.policy));
        decisions.push(json!({"kind": kind.name, "took": took}));
    }
    let mut first = Vec::new();
    for (name, format) in [("globs", Format::Glob), ("expressions", Format::Regexp)] {
        let (annotation, policy) = (list(format), restricted(format));
        let took = FEW.median(|| {
            let namespace = Namespace::new(black_box(&annotation).clone());
            let subject = around(annotated(ROLE, "team-a/last"), namespace);
            decide(&subject, None, &policy)
        });
        first.push(json!({"kind": name, "took": took}));
    }
    let text = format!("{BASE}team-a/last");
    let reference = MANY.median(|| black_box(&text).parse::<RoleArn>());
    let all = json!({"reference": reference, "decisions": decisions, "first": first});
    writeln!(io::stdout(), "{all}")?;
    Ok(())
}

impl Turns {
    /// The time of one call, in nanoseconds.
    fn median<T>(self, mut call: impl FnMut() -> T) -> f64 {
        let turn = |_| {
            let start = Instant::now();
            for _ in 0..self.calls {
                black_box(call());
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(self.calls)
        };
        let mut turns: Vec<_> = (0..self.turns).map(turn).collect();
        turns.sort_by(f64::total_cmp);
        turns[self.turns / 2]
    }
}

fn kinds() -> Result<Vec<Kind>> {
    let mut kinds = by_rule()?;
    kinds.extend(per_container()?);
    kinds.extend(by_restriction());
    Ok(kinds)
}

/// By each of the rules, and by none.
fn by_rule() -> Result<Vec<Kind>> {
    let plain = Namespace::default;
    let mut defaulted = policy();
    defaulted.default_role = Some(format!("{BASE}default").parse()?);
    let account = BTreeMap::from([(ROLE_ARN.to_owned(), format!("{BASE}account"))]);
    let mut of_account = around(pod(), plain());
    of_account.service_account = Some(Arc::new(ServiceAccount {
        annotations: account.into(),
    }));
    let by_default = Namespace::new([(DEFAULT_ROLE.to_owned(), "team-a/x".to_owned())]);
    let kind = |name, subject, policy| Kind {
        name,
        subject,
        policy,
        container: None,
        wanted: is_role,
    };
    let named = around(annotated(ROLE, "team-a/role"), plain());
    let with_tags = kind("annotation, and session tags", named.clone(), tagged()?);
    let whole = around(annotated(ROLE, &format!("{BASE}team-a/role")), plain());
    let nothing = kind("no role", around(pod(), plain()), policy());
    let wrong = around(annotated(ROLE, "a role\n"), plain());
    let wrong = kind("a wrong annotation", wrong, policy());
    Ok(vec![
        Kind {
            wanted: |binding| matches!(binding, Binding::Nothing(None)),
            ..nothing
        },
        Kind {
            wanted: |binding| matches!(binding, Binding::Invalid(..)),
            ..wrong
        },
        kind("annotation: a name", named, policy()),
        kind("annotation: an ARN", whole, policy()),
        with_tags,
        kind("ServiceAccount", of_account, policy()),
        kind("namespace's default", around(pod(), by_default), policy()),
        kind("operator's default", around(pod(), plain()), defaulted),
    ])
}

/// The last of a pod's ten containers, each of which has a role.
fn per_container() -> Result<Option<Kind>> {
    let (mut pod, mut last) = (pod(), None);
    for number in 0..10 {
        let (id, name) = (format!("{number:064x}").parse()?, format!("app-{number}"));
        pod.annotations
            .insert(format!("{CONTAINER}{name}"), format!("team-a/{name}"));
        pod.containers.push(Container { id, name });
        last = Some(id);
    }
    Ok(Some(Kind {
        name: "one of ten containers",
        subject: around(pod, Namespace::default()),
        policy: policy(),
        container: last,
        wanted: is_role,
    }))
}

/// Where the namespace restricts roles. What it said about a role before is remembered.
fn by_restriction() -> Vec<Kind> {
    let kind = |name, role: &str, format, annotation, wanted| Kind {
        name,
        subject: around(annotated(ROLE, role), Namespace::new(annotation)),
        policy: restricted(format),
        container: None,
        wanted,
    };
    let permitted = || BTreeMap::from([(PERMITTED.to_owned(), format!("{BASE}team-[a-f]/.+"))]);
    let (globs, expressions) = (list(Format::Glob), list(Format::Regexp));
    let forbidden = |binding: &_| matches!(binding, Binding::Forbidden(..));
    let last = "team-a/last";
    vec![
        kind("fifty globs", last, Format::Glob, globs, is_role),
        kind(
            "fifty expressions",
            last,
            Format::Regexp,
            expressions.clone(),
            is_role,
        ),
        kind(
            "forbidden by fifty expressions",
            "team-a/other",
            Format::Regexp,
            expressions,
            forbidden,
        ),
        kind(
            "kiam's expression",
            last,
            Format::Glob,
            permitted(),
            is_role,
        ),
    ]
}

fn is_role(binding: &Binding) -> bool {
    matches!(binding, Binding::Role(..))
}

/// A namespace's annotation.
fn list(format: Format) -> BTreeMap<String, String> {
    let mut entries: Vec<_> = (1..ENTRIES)
        .map(|number| match format {
            Format::Glob => format!("team-{number}/*-reader"),
            Format::Regexp => format!("team-{number}/[a-z]+(-[0-9]+)*-reader"),
        })
        .collect();
    entries.push("team-a/last".to_owned());
    [(ALLOWED_ROLES.to_owned(), json!(entries).to_string())].into()
}

/// Where each pod has a session of its own, as usual.
fn policy() -> Policy {
    let mut policy = Policy::new("");
    policy.base_arn = BASE.parse().ok();
    policy.sessions.name = Template::new(Template::USUAL, "node-1").expect("it is a template");
    policy
}

/// The same, where its tags say whose it is.
fn tagged() -> Result<Policy> {
    let mut policy = policy();
    policy.sessions.tags = SessionTags::new("all", &Cluster::default())?;
    Ok(policy)
}

fn restricted(format: Format) -> Policy {
    let mut policy = policy();
    policy.restrictions = Some(Rules {
        format,
        base_arn: policy.base_arn.clone(),
        ..Rules::default()
    });
    policy
}

fn pod() -> Pod {
    let uid = UID.parse().expect("a UUID is a pod's UID");
    let mut pod = Pod::new(uid, PodRef::new("shop", "cart"));
    pod.service_account = Some("default".to_owned());
    pod
}

fn annotated(key: &str, value: &str) -> Pod {
    let mut pod = pod();
    pod.annotations.insert(key.to_owned(), value.to_owned());
    pod
}

fn around(pod: Pod, namespace: Namespace) -> Subject {
    Subject {
        namespace: Some(Arc::new(namespace)),
        ..Subject::alone(pod)
    }
}
