use hyper::header::HeaderName;
use proptest::prelude::*;

use super::*;

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const LIST: &str = "/latest/meta-data/iam/security-credentials/";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

fn uri(target: &str) -> Uri {
    target
        .parse()
        .unwrap_or_else(|error| panic!("{target}: {error}"))
}

/// What GET finds at `target`.
fn found(target: &str) -> Resource {
    let none = HeaderMap::new();
    let route = route(&GET, &uri(target), &none);
    let Route::Read { resource, .. } = route else {
        panic!("{target}: {route:?}");
    };
    resource
}

/// The list of roles is read.
const fn reading(token: Option<&[u8]>) -> Route<'_> {
    Route::Read {
        resource: Resource::RoleList,
        verb: Verb::Read,
        token,
    }
}

fn refusal(kind: Kind, why: Outcome) -> Route<'static> {
    Route::Refused { kind, why }
}

const LISTS: &[&str] = &[
    LIST,
    "/latest/meta-data/iam/security-credentials",
    "//latest/meta-data/iam/security-credentials/",
    "/latest//meta-data///iam/security-credentials//",
    "/latest/meta-data/./iam/security-credentials/.",
    "/latest/user-data/../meta-data/iam/security-credentials",
    "/latest/meta-data/iam/info/../security-credentials/",
    "/latest/meta-data/iam/security-credentials/r/..",
    "/latest/meta-data/iam/security%2Dcredentials/",
    "/%6Catest/meta-data/iam/security-credentials/",
    "/latest%2Fmeta-data/iam%2fsecurity-credentials%2F",
    "/latest/%2e/meta-data/iam/x/%2E%2e/security-credentials",
    "/latest/meta-data/iam/security-credentials/?x=/../y",
    "/latest/meta-data/iam/security-credentials?",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://elsewhere.example:81/latest/meta-data/iam/security-credentials",
    "http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials",
    "/1.0/meta-data/iam/security-credentials/",
    "/2009-04-04/meta-data/iam/security-credentials/",
    "/2021-03-23/meta-data/iam/security-credentials",
    "/2024-04-11/meta-data/iam/security-credentials/",
];

const INFOS: &[&str] = &[
    "/latest/meta-data/iam/info",
    "/latest/meta-data/iam/info/",
    "/2016-09-02/meta-data/iam/info",
    "//latest//meta-data//iam//info",
];

/// What is behind the list, and the name that it means.
const NAMES: &[(&str, &str)] = &[
    ("/role", "role"),
    ("/role/", "role"),
    ("//role", "role"),
    ("/team+a=b,c.d@e-f_g", "team+a=b,c.d@e-f_g"),
    ("/team%2Ba%3Db%2Cc.d%40e", "team+a=b,c.d@e"),
    ("/a+b", "a+b"),
    ("/a%20b", "a b"),
    ("/a%2520b", "a%20b"),
    ("/Role", "Role"),
    ("/role;x=1", "role;x=1"),
    ("/%3C?xml%20version=%221.0%22", "<"),
    ("/%E2%82%AC", "€"),
    ("/%252e%252e", "%2e%2e"),
    ("/...", "..."),
];

#[test]
fn the_served_paths_are_found_in_every_spelling_that_clients_use() {
    for target in LISTS {
        assert_eq!(found(target), Resource::RoleList, "{target}");
    }
    for target in INFOS {
        assert_eq!(found(target), Resource::IamInfo, "{target}");
    }
    for version in ["latest", "1.0", "2018-09-24"] {
        for (rest, name) in NAMES {
            let target = format!("/{version}/meta-data/iam/security-credentials{rest}");
            let expected = Resource::RoleCredentials((*name).to_owned());
            assert_eq!(found(&target), expected, "{target}");
        }
    }
}

const ABSENT: &[&str] = &[
    "/latest/meta-data/IAM/info",
    "/latest/meta-data/iam\\info",
    "/latest/meta-data/iam;x/info",
    "/latest/meta-data%252Fiam",
    "/latest/meta-data/tags/instance/a%20b",
    "/latest/Meta-Data/instance-id",
    "/latest/other/instance-id",
    "/latest/meta-data/iam/security-credentials/role/x",
    "/latest/meta-data/iam/security-credentials/a%2Fb",
    "/latest/meta-data/iam/security-credentials/a/../../x",
    "/latest/meta-data/iam/security-credentials/../../../user-data",
    "/latest/meta-data/iam/security-credentials/arn:aws:iam::123456789012:role/r",
    "/latest/meta-data/iam/security-credentials-extended",
    "/latest/meta-data/iam/security-credentials-extended/",
    "/latest/meta-data/iam/security-credentials-extended/role",
    "/latest/meta-data/iam/security-credentialsx",
    "/latest/meta-data/iam/security-credentials;x",
    "/latest/meta-data/iam/security-credentials;/role",
    "/latest/meta-data/iam/security-credentials%3Frole",
    "/latest/meta-data/iam/security-credentials%00/",
    "/latest/meta-data/iam/security-credentials%09",
    "/latest/meta-data/iam/security-credentials%20",
    "/latest/meta-data/iam/security-credentials%",
    "/latest/meta-data/iam/security-credentials/%",
    "/latest/meta-data/iam/security-credentials/%2",
    "/latest/meta-data/iam/security-credentials/%gg",
    "/latest/meta-data/iam/security-credentials/%ff",
    "/latest/meta-data/iam/security-credentials/role%00",
    "/latest/meta-data/iam/security-credentials/role%0d%0aX:y",
    "/latest/meta-data/iam/info/x",
    "/latest/meta-data/iam/infox",
    "/latest/%252e%252e/latest/meta-data/iam/info",
    "/Latest/meta-data/iam/security-credentials/",
    "/latest/meta-data/iam/Security-Credentials/",
    "/LATEST/META-DATA/IAM/INFO",
    "/meta-data/iam/security-credentials/",
    "/2.0/meta-data/iam/security-credentials/",
    "/1.0.0/meta-data/iam/security-credentials/",
    "/2030-01-01/meta-data/iam/security-credentials/",
    "/2021-03-24/meta-data/iam/security-credentials/",
    "/2021-3-23/meta-data/iam/security-credentials/",
    "/latest;v/meta-data/iam/security-credentials/",
    "/latest/latest/meta-data/iam/security-credentials/",
    "/../latest/meta-data/iam/security-credentials/",
    "/latest/../../latest/meta-data/iam/security-credentials/",
    "/%2e%2e/latest/meta-data/iam/security-credentials/",
    "/latest/..%2f..%2flatest/meta-data/iam/info",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/latest/meta-data/identity-credentials/ec2/info",
    "/latest/user-data",
    "/latest/user-data/",
    "/1.0/user-data",
    "/latest/api",
    "/latest/api/tokenx",
    "/latest/api/token/x",
    "/latest/api/Token",
    "/api/token",
    "/2030-01-01/api/token",
    "/standin",
    "/standin/node-role",
    "/healthz",
    "/metrics",
    "*",
    "host.example:80",
    "http://latest/meta-data/iam/info",
];

/// Paths of the tree, each with the one that it means. Who may see them is decided elsewhere.
const TREE: &[(&str, &str)] = &[
    ("/latest", ""),
    ("/latest/", ""),
    ("/1.0//", ""),
    ("/latest/meta-data", "meta-data"),
    ("/latest/meta-data/", "meta-data"),
    (
        "/latest/meta-data/placement/region",
        "meta-data/placement/region",
    ),
    (
        "//latest//meta-data/placement/./region/",
        "meta-data/placement/region",
    ),
    ("/2009-04-04/meta-data/instance-id", "meta-data/instance-id"),
    (
        "/latest/user-data/../meta-data/instance-id",
        "meta-data/instance-id",
    ),
    (
        "/latest/meta-data/instance%2Did?x=y",
        "meta-data/instance-id",
    ),
    (
        "/latest/meta-data/iam/security-credentials/../../hostname",
        "meta-data/hostname",
    ),
    ("/latest/meta-data/local-ipv4", "meta-data/local-ipv4"),
    (
        "/latest/meta-data/tags/instance/a%2Bb",
        "meta-data/tags/instance/a+b",
    ),
    ("/latest/dynamic/", "dynamic"),
    (
        "/latest/dynamic/meta-data/iam/info",
        "dynamic/meta-data/iam/info",
    ),
    (
        "/latest/dynamic/instance-identity/pkcs7",
        "dynamic/instance-identity/pkcs7",
    ),
];

#[test]
fn the_rest_of_the_tree_is_known_by_its_canonical_path() {
    for (target, path) in TREE {
        let expected = Resource::Tree((*path).to_owned());
        assert_eq!(found(target), expected, "{target}");
    }
    for target in ["/", "//", "/latest/..", "http://host.example"] {
        assert_eq!(found(target), Resource::Versions, "{target}");
    }
    for target in ["/latest/meta-data/iam", "/1.0/meta-data//iam/"] {
        assert_eq!(found(target), Resource::Iam, "{target}");
    }
}

#[test]
fn everything_else_does_not_exist() {
    for target in ABSENT {
        assert_eq!(found(target), Resource::Absent, "{target}");
    }
    let long = format!("{LIST}{}", "/x".repeat(4000));
    assert_eq!(found(&long), Resource::Absent);
}

#[test]
fn a_token_is_asked_for_with_put_and_a_life() {
    let ask = |target: &str, ttl: &str| {
        let headers = headers(&[(TOKEN_TTL, ttl)]);
        route(&PUT, &uri(target), &headers).clone_static()
    };
    for target in [
        "/latest/api/token",
        "//latest/api//token",
        "/latest/./api/token",
        "/latest/%61pi/token",
        "/latest/api/token?x=y",
        "http://elsewhere.example/latest/api/token",
    ] {
        let Route::Token(ttl) = ask(target, "21600") else {
            panic!("{target}");
        };
        assert_eq!(ttl.seconds(), 21600);
    }
    for ttl in [
        "",
        "0",
        "-1",
        "+5",
        "21601",
        "65537",
        "99999999999",
        "1.5",
        "1e3",
        "5s",
        "0x5",
        "٣",
    ] {
        let expected = refusal(Kind::Token, Outcome::TokenTtl);
        assert_eq!(ask("/latest/api/token", ttl), expected, "{ttl:?}");
    }
    let none = route(&PUT, &uri("/latest/api/token"), &HeaderMap::new()).clone_static();
    assert_eq!(none, refusal(Kind::Token, Outcome::TokenTtl));
}

#[test]
fn the_first_of_several_headers_counts() {
    let twice = headers(&[(TOKEN_TTL, "60"), (TOKEN_TTL, "nonsense")]);
    let route_ = route(&PUT, &uri("/latest/api/token"), &twice);
    assert_eq!(route_, Route::Token("60".parse().unwrap()));

    let twice = headers(&[(TOKEN, "one"), (TOKEN, "two")]);
    assert_eq!(route(&GET, &uri(LIST), &twice), reading(Some(b"one")));
}

#[test]
fn an_empty_token_is_a_token() {
    let empty = headers(&[(TOKEN, "")]);
    assert_eq!(route(&GET, &uri(LIST), &empty), reading(Some(b"")));
}

/// In the order of the checks: each refusal wins over all that come after it. After the path, in words,
/// the headers that come with the request.
const REFUSALS: &[(Kind, Outcome, &[&str])] = &[
    (
        Kind::Token,
        Outcome::TokenMethod,
        &[
            "GET /latest/api/token life proxy",
            "HEAD /latest/api/token life",
            "POST /latest/api/token life",
            "DELETE /latest/api/token bearer",
            "OPTIONS /latest/api/token",
            "put /latest/api/token life",
            "GET /latest/api/token/ life",
            "GET /2021-03-23/api/token bearer",
        ],
    ),
    (
        Kind::Token,
        Outcome::TokenPath,
        &[
            "PUT /latest/api/token/ life proxy",
            "PUT /latest/api/token/. life",
            "PUT /latest/api/token/x/.. life",
            "PUT /2021-03-23/api/token life",
            "PUT /1.0/api/token",
        ],
    ),
    (
        Kind::Token,
        Outcome::Forwarded,
        &[
            "PUT /latest/api/token life proxy",
            "PUT /latest/api/token proxy",
        ],
    ),
    (Kind::Token, Outcome::TokenTtl, &["PUT /latest/api/token"]),
    (
        Kind::RoleList,
        Outcome::Forwarded,
        &[
            "GET /latest/meta-data/iam/security-credentials bearer proxy",
            "POST /latest/meta-data/iam/security-credentials bearer proxy",
        ],
    ),
    (
        Kind::Metadata,
        Outcome::Forwarded,
        &[
            "GET / bearer proxy",
            "GET /latest/meta-data/placement/region bearer proxy",
        ],
    ),
    (
        Kind::Other,
        Outcome::Forwarded,
        &[
            "GET /latest/user-data bearer proxy",
            "GET /%zz bearer proxy",
        ],
    ),
];

#[test]
fn refusals_come_in_the_order_of_ec2() {
    for (kind, why, requests) in REFUSALS {
        for request in *requests {
            let mut words = request.split(' ');
            let method = words.next().unwrap().parse().unwrap();
            let target = uri(words.next().unwrap());
            let with: Vec<_> = words.map(header).collect();
            let headers = headers(&with);
            let got = route(&method, &target, &headers);
            assert_eq!(got, refusal(*kind, *why), "{request}");
        }
    }
}

fn header(word: &str) -> (&'static str, &'static str) {
    match word {
        "proxy" => (FORWARDED, "10.0.0.1"),
        "life" => (TOKEN_TTL, "60"),
        "bearer" => (TOKEN, "t"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_does_not_exist_is_nothing_for_any_method() {
    for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "CONNECT", "PROPFIND"] {
        let method = method.parse().unwrap();
        let none = HeaderMap::new();
        let got = route(&method, &uri("/latest/user-data"), &none);
        let Route::Read { resource, .. } = got else {
            panic!("{method}: {got:?}");
        };
        assert_eq!(resource, Resource::Absent, "{method}");
    }
}

#[test]
fn only_get_and_head_read() {
    for (method, verb) in [
        ("GET", Verb::Read),
        ("HEAD", Verb::Read),
        ("get", Verb::Other),
        ("PUT", Verb::Other),
        ("POST", Verb::Other),
        ("DELETE", Verb::Other),
        ("OPTIONS", Verb::Other),
    ] {
        for target in [LIST, "/latest/meta-data/instance-id", "/"] {
            let none = HeaderMap::new();
            let got = route(&method.parse().unwrap(), &uri(target), &none);
            assert!(
                matches!(got, Route::Read { verb: found, .. } if found == verb),
                "{method} {target}"
            );
        }
    }
}

#[test]
fn reading_without_a_token_may_come_through_a_proxy() {
    let proxied = headers(&[(FORWARDED, "10.0.0.1")]);
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(
            route(&method, &uri(LIST), &proxied),
            reading(None),
            "{method}"
        );
    }
}

impl Route<'_> {
    /// The same, but for a token.
    fn clone_static(&self) -> Route<'static> {
        match self {
            Self::Token(ttl) => Route::Token(*ttl),
            Self::Read { resource, verb, .. } => Route::Read {
                resource: resource.clone(),
                verb: *verb,
                token: None,
            },
            Self::Refused { kind, why } => refusal(*kind, *why),
        }
    }
}

/// Served paths, with other separators between their segments, and perhaps with other segments in them.
fn near() -> impl Strategy<Value = String> {
    let last = prop::sample::select(vec!["info", "security-credentials", "token", "role", ""]);
    let parent = prop::sample::select(vec!["security-credentials", "api", "iam", "x"]);
    let version = prop::sample::select(vec![
        "latest",
        "1.0",
        "2021-03-23",
        "LATEST",
        "1.1",
        "%6catest",
    ]);
    let separator = prop::sample::select(vec![
        "/", "/", "/", "/", "//", "%2f", "/./", "/x/../", "/%2e%2E/", "/../", "%252f", "/%00/", ";",
    ]);
    let tree = prop::sample::select(vec![
        vec!["meta-data", "iam"],
        vec!["meta%2Ddata", "iam"],
        vec!["meta-data", "iam", "security-credentials"],
        vec!["api"],
        vec!["user-data"],
        vec!["meta-data"],
    ]);
    let separators = prop::collection::vec(separator, 8);
    (
        version,
        tree,
        prop::option::weighted(0.2, parent),
        last,
        separators,
    )
        .prop_map(|(version, tree, parent, last, separators)| {
            let segments = [version]
                .into_iter()
                .chain(tree)
                .chain(parent)
                .chain([last]);
            let pieces = segments
                .zip(separators)
                .flat_map(|(segment, separator)| [separator, segment]);
            ["/"].into_iter().chain(pieces).collect::<String>()
        })
}

fn resource(target: &str) -> Option<Resource> {
    match route(&GET, &uri(target), &HeaderMap::new()) {
        Route::Read { resource, .. } => Some(resource),
        Route::Token(_) | Route::Refused { .. } => None,
    }
}

proptest! {
    /// The served set, said in another way than the code says it.
    #[test]
    fn only_paths_of_the_served_set_lead_anywhere(target in near()) {
        let path = Path::parse(&target).map(|path| path.as_str().to_owned()).unwrap_or_default();
        let segments: Vec<_> = path.split('/').collect();
        let known = ["latest", "1.0", "2021-03-23"].contains(&segments[0]);
        let expected = match segments.get(1..).unwrap_or_default() {
            _ if path.is_empty() && Path::parse(&target).is_some() => Some(Resource::Versions),
            _ if !known => Some(Resource::Absent),
            ["api", "token"] => None,
            ["meta-data", "iam", "info"] => Some(Resource::IamInfo),
            ["meta-data", "iam", "security-credentials"] => Some(Resource::RoleList),
            ["meta-data", "iam", "security-credentials", name] => Some(Resource::RoleCredentials((*name).to_owned())),
            ["meta-data", "iam"] => Some(Resource::Iam),
            ["meta-data", "iam", ..] => Some(Resource::Absent),
            [] => Some(Resource::Tree(String::new())),
            ["meta-data", ..] if path.contains([';', '%']) => Some(Resource::Absent),
            ["meta-data", ..] => Some(Resource::Tree(segments[1..].join("/"))),
            _ => Some(Resource::Absent),
        };
        prop_assert_eq!(resource(&target), expected);
    }

    #[test]
    fn a_path_and_its_canonical_form_lead_to_the_same(target in near()) {
        if let Some(path) = Path::parse(&target) {
            prop_assert_eq!(resource(&path.to_string()), resource(&target));
        }
    }
}
