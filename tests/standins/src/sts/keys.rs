//! The keys of an identity provider: where they are, and what they prove.

use std::{fs, io, path::PathBuf, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Uri, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{
    code::{Code, Refusal},
    jwt::Token,
};

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Here, as a JSON Web Key Set.
    Json(KeySet),
    /// In a file, which is read for each call.
    File(PathBuf),
    /// Behind a URL without TLS, which is asked for each call.
    Url(Uri),
}

/// A text that names no keys.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySource {
    /// It begins like JSON, and is no key set.
    #[error("it is no JSON Web Key Set")]
    Json(#[source] serde_json::Error),
    /// The stand-in cannot speak TLS.
    #[error("keys can be fetched over http only; save those of {0} to a file")]
    Tls(String),
    /// It begins like a URL, and is none.
    #[error("it is no URL")]
    Url(#[source] hyper::http::uri::InvalidUri),
}

/// Why the keys are not known at this moment.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the keys of the identity provider cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the identity provider does not answer: {0}")]
    Ask(#[from] hyper::Error),
    #[error("the identity provider takes too long")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("the identity provider answers with status {0}")]
    Status(u16),
    #[error("the identity provider has no good keys: {0}")]
    Json(#[from] serde_json::Error),
}

impl FromStr for KeySource {
    type Err = InvalidKeySource;

    fn from_str(text: &str) -> Result<Self, InvalidKeySource> {
        if text.starts_with('{') {
            let keys = serde_json::from_str(text);
            return keys.map(Self::Json).map_err(InvalidKeySource::Json);
        }
        if text.starts_with("https://") {
            return Err(InvalidKeySource::Tls(text.to_owned()));
        }
        if text.starts_with("http://") {
            return text.parse().map(Self::Url).map_err(InvalidKeySource::Url);
        }
        Ok(Self::File(text.into()))
    }
}

impl KeySource {
    /// The keys at this moment.
    pub(super) async fn load(&self) -> Result<KeySet, LoadError> {
        match self {
            Self::Json(keys) => Ok(keys.clone()),
            Self::File(path) => Ok(serde_json::from_slice(&fs::read(path)?)?),
            Self::Url(url) => {
                let body = tokio::time::timeout(PATIENCE, fetch(url)).await??;
                Ok(serde_json::from_slice(&body)?)
            }
        }
    }
}

async fn fetch(url: &Uri) -> Result<Bytes, LoadError> {
    let host = url.authority().map_or("", |authority| authority.as_str());
    let port = url.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((url.host().unwrap_or_default(), port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(url.path()).header(HOST, host);
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_unspeakable| io::Error::from(io::ErrorKind::InvalidInput))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(LoadError::Status(response.status().as_u16()));
        }
        Ok(response.into_body().collect().await?.to_bytes())
    };
    // The connection must be driven for as long as the exchange goes on.
    tokio::select! {
        biased;
        body = exchange => body,
        Err(error) = connection => Err(error.into()),
    }
}

/// A JSON Web Key Set. Keys of other kinds are there, and prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Key {
    kid: Option<String>,
    #[serde(flatten)]
    public: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kty")]
enum PublicKey {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(other)]
    Other,
}

impl KeySet {
    /// Whether one of the keys signed `token`.
    pub(super) fn check(&self, token: &Token) -> Result<(), Refusal> {
        let meant = |key: &&Key| token.key_id.is_none() || token.key_id == key.kid;
        let mut keys = self.keys.iter().filter(meant).peekable();
        if keys.peek().is_none() {
            let message = "Couldn't retrieve verification key from your identity provider,  please reference \
                           AssumeRoleWithWebIdentity documentation for requirements";
            return Err(Refusal::new(Code::InvalidIdentityToken, message));
        }
        if keys.any(|key| key.public.signed(token).is_some()) {
            return Ok(());
        }
        Err(Code::InvalidIdentityToken.into())
    }
}

impl PublicKey {
    /// `None` unless this key signed `token`.
    fn signed(&self, token: &Token) -> Option<()> {
        let (signed, signature) = (token.signed.as_bytes(), &token.signature);
        match (self, token.algorithm.as_str()) {
            (Self::Rsa { n, e }, "RS256") => {
                let key = RsaPublicKeyComponents {
                    n: number(n)?,
                    e: number(e)?,
                };
                let algorithm = &RSA_PKCS1_2048_8192_SHA256;
                key.verify(algorithm, signed, signature).ok()
            }
            (Self::Ec { crv, x, y }, "ES256") if crv == "P-256" => {
                let point = [vec![4], number(x)?, number(y)?].concat();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).ok()
            }
            _ => None,
        }
    }
}

fn number(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
