//! IMDSv2 session tokens that nobody has to remember.
//!
//! A token says itself how long it lives and is authenticated with a key that only this node's agents
//! have; the pod's UID and the boot go into the authentication, so that a token is worth nothing in another
//! pod, and nothing to a pod of the same UID after a reboot. To issue or check one takes no memory and no lock.
//! Clients see what EC2 gives: 56 characters of base64.
//!
//! The bytes: version (1), expiry in seconds since the epoch (7, high byte first), chance (8), and the first
//! 24 of HMAC-SHA256 over all of these and the UID as text. The key of that is HMAC-SHA256 over the 16 bytes of
//! the boot id, with the key that the agents have ([`KeyStore`]).

mod boot;
mod key;

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use hmac::{Hmac, KeyInit as _, Mac as _, digest::Key as Block};
use jiff::Timestamp;
use sha2::Sha256;

use crate::id::PodUid;

pub use boot::{BootError, BootId};
pub use key::{GenerateError, Key, KeyStore};

/// The first byte of each token, and of what is authenticated. With the zero bytes of a date in this
/// century after it, it makes tokens begin with `AQAA`, as EC2's begin with `AQA`.
const VERSION: u8 = 1;
/// Bytes of the time of expiry: seconds since the epoch, high byte first.
const EXPIRY: usize = 7;
/// Bytes of chance, so that no two tokens are equal.
const NONCE: usize = 8;
/// Bytes of the authentication code that a token carries; 16 would be enough (RFC 2104, section 5).
const CODE: usize = 24;
/// What is authenticated, beside the pod's UID.
const CLAIM: usize = 1 + EXPIRY + NONCE;
/// A token's bytes: 40 of them, for 56 characters that end with `==`.
const BYTES: usize = CLAIM + CODE;
/// A token's characters.
const CHARACTERS: usize = BYTES.div_ceil(3) * 4;

/// How long a token lives, in seconds: 1 to 21600, as on EC2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(u16);

/// A life that EC2 gives to no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token lives for 1 to {} seconds", Ttl::MAX.0)]
pub struct InvalidTtl;

impl Ttl {
    /// Six hours.
    pub const MAX: Self = Self(21_600);

    /// The seconds.
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

impl FromStr for Ttl {
    type Err = InvalidTtl;

    fn from_str(text: &str) -> Result<Self, InvalidTtl> {
        // u16 would take a sign.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidTtl);
        }
        text.parse()
            .ok()
            .filter(|seconds| (1..=Self::MAX.0).contains(seconds))
            .map(Self)
            .ok_or(InvalidTtl)
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It has not the form of a token.
    #[error("not a token")]
    Malformed,
    /// It was not made with our key, or not in this boot, or not for this pod.
    #[error("not a token of this pod")]
    Forged,
    /// Its time is over.
    #[error("a token that has expired")]
    Expired,
}

/// Issues tokens and checks them.
#[derive(Clone)]
pub struct Authority(Hmac<Sha256>);

impl Authority {
    /// The authority that has `key`, in `boot`.
    pub fn new(key: &Key, boot: BootId) -> Self {
        let mut of_boot = keyed(key.expose());
        of_boot.update(boot.as_bytes());
        Self(keyed(&of_boot.finalize().into_bytes().into()))
    }

    /// A token for `pod` that lives for `ttl` from `now` on: not a moment less, and less than a second more.
    pub fn issue(&self, pod: PodUid, ttl: Ttl, now: Timestamp) -> String {
        let expiry = next_second(now).saturating_add(i64::from(ttl.0));
        let mut token = [0; BYTES];
        let (claim, code) = token.split_at_mut(CLAIM);
        let (expiry_at, nonce_at) = claim.split_at_mut(1 + EXPIRY);
        expiry_at.copy_from_slice(&expiry.to_be_bytes());
        expiry_at[0] = VERSION;
        nonce_at.copy_from_slice(&rand::random::<[u8; NONCE]>());
        let mac = self.authenticate(claim, pod).finalize().into_bytes();
        code.copy_from_slice(&mac[..CODE]);
        URL_SAFE.encode(token)
    }

    /// Checks that `token` was issued for `pod` and lives at `now`; says for how many seconds still, the last one
    /// being told as a whole one.
    pub fn verify(&self, pod: PodUid, token: &[u8], now: Timestamp) -> Result<u16, Invalid> {
        let token = decode(token).ok_or(Invalid::Malformed)?;
        let (claim, code) = token.split_at(CLAIM);
        self.authenticate(claim, pod)
            .verify_truncated_left(code)
            .map_err(|_mismatch| Invalid::Forged)?;
        let mut expiry = [0; 8];
        expiry.copy_from_slice(&claim[..=EXPIRY]);
        expiry[0] = 0;
        let expiry = i64::from_be_bytes(expiry);
        if expiry <= now.as_second() {
            return Err(Invalid::Expired);
        }
        // More than was given: the machine's clock went back.
        let left = u16::try_from(expiry.saturating_sub(next_second(now))).unwrap_or(Ttl::MAX.0);
        Ok(left.clamp(1, Ttl::MAX.0))
    }

    fn authenticate(&self, claim: &[u8], pod: PodUid) -> Hmac<Sha256> {
        let mut mac = Absorb(self.0.clone());
        mac.0.update(claim);
        write!(mac, "{pod}").expect("a hash takes everything");
        mac.0
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// HMAC fills short keys up with zeros to a whole block (RFC 2104, section 2); done here it cannot fail.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Block::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    Hmac::new(&block)
}

/// The first whole second that is not before `time`.
fn next_second(time: Timestamp) -> i64 {
    let begun = i64::from(time.subsec_nanosecond() > 0);
    time.as_second().saturating_add(begun)
}

/// Takes text into the code without making a string of it.
struct Absorb(Hmac<Sha256>);

impl fmt::Write for Absorb {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The bytes of what has a token's form. One spelling only: the bits that base64 leaves over are zero.
fn decode(token: &[u8]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; CHARACTERS / 4 * 3];
    if token.len() != CHARACTERS || URL_SAFE.decode_slice(token, &mut bytes) != Ok(BYTES) {
        return None;
    }
    bytes
        .first_chunk()
        .copied()
        .filter(|token: &[u8; BYTES]| token[0] == VERSION)
}

#[cfg(test)]
mod tests;
