//! From a request to what it asks for: a pure function, and the only one that reads targets.
//!
//! The iam tree is ours alone and is never asked of the real service, in no spelling and under no version; nor is what is
//! nobody's ([`Access::Never`]). Of the rest of the tree only the canonical path is left, without its version: which pod
//! may see it is decided elsewhere ([`metadata`](crate::metadata)), and the real service is asked for nothing but that.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri, header::HeaderValue};

use crate::metadata::{Access, access};

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

/// The list of versions, as `GET /` gives it.
pub(super) fn versions() -> Bytes {
    static LIST: LazyLock<Bytes> =
        LazyLock::new(|| Bytes::from(format!("{}\n{LATEST}", VERSIONS.join("\n"))));
    LIST.clone()
}

const TOKEN_PATH: &str = "api/token";
const IAM: &str = "meta-data/iam";
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
        /// What is to be done with it.
        verb: Verb,
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

/// What a method does to something that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET or HEAD.
    Read,
    /// Anything else: nobody may, where there is something to do it to.
    Other,
}

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The list of versions.
    Versions,
    /// The listing of the iam tree.
    Iam,
    /// The name of the pod's role.
    RoleList,
    /// The credentials of the role with this name: as the client wrote it, and perhaps no name at all.
    RoleCredentials(String),
    /// The instance profile.
    IamInfo,
    /// Something else of the instance's tree, where it exists: by its path below the version, canonical and decoded, as
    /// in `meta-data/placement/region`. Empty for the listing of a version.
    Tree(String),
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
    /// [`Resource::Tree`] and the listings that we make.
    Metadata,
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
            Self::Metadata => "metadata",
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
            Self::Versions | Self::Iam | Self::Tree(_) => Kind::Metadata,
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
    let path_is_directory = path.is_directory();
    let path = path.as_str();
    if path.is_empty() {
        return Place::Resource(Resource::Versions);
    }
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    if version != LATEST && !VERSIONS.contains(&version) {
        return Place::Resource(Resource::Absent);
    }
    match rest {
        TOKEN_PATH if version == LATEST && !path_is_directory => Place::Token(Spelling::Exact),
        TOKEN_PATH => Place::Token(Spelling::Odd),
        other => Place::Resource(resource(other)),
    }
}

/// What is at `rest` below a version.
fn resource(rest: &str) -> Resource {
    match rest {
        IAM => Resource::Iam,
        IAM_INFO => Resource::IamInfo,
        ROLES => Resource::RoleList,
        other if below(other, IAM).is_some() => below_roles(other),
        other if access(other) == Access::Never => Resource::Absent,
        other => Resource::Tree(other.to_owned()),
    }
}

/// What of `path` is below `directory`.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}

fn below_roles(rest: &str) -> Resource {
    below(rest, ROLES)
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
    let verb = match *method {
        Method::GET | Method::HEAD => Verb::Read,
        _ => Verb::Other,
    };
    Route::Read {
        resource,
        verb,
        token,
    }
}

#[cfg(test)]
mod tests;
