//! From a request to what it asks for: a pure function, and the only one that knows paths.
//!
//! What this module does not name does not exist for pods. The iam tree is ours alone and is never
//! asked of the real service, in no spelling and under no version. When other paths are let through,
//! each becomes a [`Resource`] of its own here.

use hyper::{HeaderMap, Method, Uri, header::HeaderValue};

use super::{outcome::Outcome, path::Path, token::Ttl};

/// How long a token shall live, in a PUT; how long it still lives, in an answer.
pub(super) const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The token, in a request.
const TOKEN: &str = "x-aws-ec2-metadata-token";
/// A proxy was on the way. EC2 gives no token through proxies, and takes none.
const FORWARDED: &str = "x-forwarded-for";

/// The version that is always there, and the only one that gives tokens.
const LATEST: &str = "latest";
/// The other versions, as EC2 lists them at `GET /` (seen with 2024-04-11 as the newest). All prefix the
/// same tree.
const VERSIONS: [&str; 29] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-07-09",
    "2022-09-24",
    "2024-04-11",
];

const TOKEN_PATH: &str = "api/token";
const IAM_INFO: &str = "meta-data/iam/info";
const ROLES: &str = "meta-data/iam/security-credentials";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A token that lives so long.
    Token(Ttl),
    /// Something to read.
    Read {
        /// What.
        resource: Resource,
        /// The value of the token header, if there is one: perhaps empty, perhaps nonsense.
        token: Option<&'a [u8]>,
    },
    /// Nothing that anybody gets.
    Refused {
        /// What it was about.
        kind: Kind,
        /// Why.
        why: Outcome,
    },
}

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The name of the pod's role.
    RoleList,
    /// The credentials of the role with this name: as the client wrote it, and perhaps no name at all.
    RoleCredentials(String),
    /// The instance profile.
    IamInfo,
    /// Everything else: it does not exist.
    Absent,
}

/// What a request is about: a label. Never the path itself, for clients ask for junk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The token path in any of its spellings.
    Token,
    /// [`Resource::RoleList`].
    RoleList,
    /// [`Resource::RoleCredentials`].
    RoleCredentials,
    /// [`Resource::IamInfo`].
    IamInfo,
    /// [`Resource::Absent`].
    Other,
}

impl Kind {
    /// How many there are. The last one counts.
    pub(super) const COUNT: usize = Self::Other as usize + 1;

    /// The word in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::RoleList => "role_list",
            Self::RoleCredentials => "role_credentials",
            Self::IamInfo => "iam_info",
            Self::Other => "other",
        }
    }
}

impl Resource {
    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::RoleList => Kind::RoleList,
            Self::RoleCredentials(_) => Kind::RoleCredentials,
            Self::IamInfo => Kind::IamInfo,
            Self::Absent => Kind::Other,
        }
    }
}

impl Route<'_> {
    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Token(_) => Kind::Token,
            Self::Read { resource, .. } => resource.kind(),
            Self::Refused { kind, .. } => *kind,
        }
    }
}

/// Says what a request asks for. `target` is as in the request line; its scheme, host and query count for
/// nothing. The order of the checks is EC2's: method on the token path, spelling of the token path, proxy.
pub fn route<'a>(method: &Method, target: &Uri, headers: &'a HeaderMap) -> Route<'a> {
    match Path::parse(target.path()).map_or(Place::Resource(Resource::Absent), locate) {
        Place::Token(spelling) => token(method, spelling, headers),
        Place::Resource(resource) => read(method, resource, headers),
    }
}

/// Where a path leads.
enum Place {
    Token(Spelling),
    Resource(Resource),
}

/// How the token path is written.
#[derive(Clone, Copy)]
enum Spelling {
    Exact,
    /// With a slash at the end, or under a version that gives no tokens.
    Odd,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the path is at its end here, and `map_or` reads well"
)]
fn locate(path: Path) -> Place {
    let (version, rest) = path.as_str().split_once('/').unwrap_or_default();
    if version != LATEST && !VERSIONS.contains(&version) {
        return Place::Resource(Resource::Absent);
    }
    match rest {
        TOKEN_PATH if version == LATEST && !path.is_directory() => Place::Token(Spelling::Exact),
        TOKEN_PATH => Place::Token(Spelling::Odd),
        IAM_INFO => Place::Resource(Resource::IamInfo),
        ROLES => Place::Resource(Resource::RoleList),
        other => Place::Resource(below_roles(other)),
    }
}

fn below_roles(rest: &str) -> Resource {
    rest.strip_prefix(ROLES)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|name| !name.contains('/'))
        .map_or(Resource::Absent, |name| {
            Resource::RoleCredentials(name.to_owned())
        })
}

fn token<'a>(method: &Method, spelling: Spelling, headers: &HeaderMap) -> Route<'a> {
    let why = match spelling {
        _ if method != Method::PUT => Outcome::TokenMethod,
        Spelling::Odd => Outcome::TokenPath,
        Spelling::Exact if headers.contains_key(FORWARDED) => Outcome::Forwarded,
        Spelling::Exact => match headers.get(TOKEN_TTL).and_then(ttl) {
            Some(ttl) => return Route::Token(ttl),
            None => Outcome::TokenTtl,
        },
    };
    let kind = Kind::Token;
    Route::Refused { kind, why }
}

fn ttl(value: &HeaderValue) -> Option<Ttl> {
    value.to_str().ok()?.parse().ok()
}

fn read<'a>(method: &Method, resource: Resource, headers: &'a HeaderMap) -> Route<'a> {
    let kind = resource.kind();
    let token = headers.get(TOKEN).map(HeaderValue::as_bytes);
    if token.is_some() && headers.contains_key(FORWARDED) {
        let why = Outcome::Forwarded;
        return Route::Refused { kind, why };
    }
    // What does not exist does not exist for any method.
    if resource != Resource::Absent && !matches!(*method, Method::GET | Method::HEAD) {
        let why = Outcome::Method;
        return Route::Refused { kind, why };
    }
    Route::Read { resource, token }
}

#[cfg(test)]
mod tests;
