//! Preview tokens: signed, expiring permission to be served one retained release.
//!
//! Text form `<version>.<kid>.<release>.<expiry>.<tid>.<mac>`, version `d1` for the cookie and `l1` for a link. The mac
//! is base64url without padding of HMAC-SHA256 over `cutover-preview`, a line feed, the configured host, a line feed,
//! and everything before the last dot: bound to the host, and since the version is inside, a link is no cookie. The name
//! of a link's token may end in `-<seconds>`: how long the preview lasts that it starts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{
    PreviewKey, ReleaseId,
    pin::{MAX_GENERATION, number},
};

/// Longest life of a link token, in seconds.
pub const MAX_LINK_SECS: u64 = 600;
/// Longest life of a preview cookie, in seconds.
pub const MAX_PREVIEW_SECS: u64 = 86_400;

/// Longest token in either form, in characters.
pub const MAX_TOKEN: usize = 192;
/// Shortest secret of a preview key, in bytes; a key with less verifies nothing.
pub const MIN_SECRET: usize = 16;
/// How far the clock of the signer may be ahead, in seconds.
const CLOCK_SKEW: u64 = 60;

/// What a preview token says once its signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PreviewToken {
    /// Which key signed it: `[A-Za-z0-9_-]{1,32}`.
    pub kid: String,
    /// The release it shows.
    pub release: ReleaseId,
    /// Unix seconds from which on it is void.
    pub expiry: u64,
    /// Identifies the token: `[A-Za-z0-9_-]{1,32}`.
    pub tid: String,
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the text form of a token.
    #[error("not a preview token")]
    Malformed,
    /// Signed by a key that is not, or no longer, known.
    #[error("the preview token's key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the preview token's signature is wrong")]
    BadMac,
    /// Properly signed, but over.
    #[error("the preview token has expired")]
    Expired(PreviewToken),
}

impl PreviewToken {
    /// Makes a link's token start a preview of this many seconds: `-<seconds>` at the end of its name, which is signed.
    #[must_use]
    pub fn lasting(mut self, seconds: u64) -> Self {
        self.tid.push_str(&format!("-{seconds}"));
        self
    }

    /// How many seconds the preview lasts that a link starts: what its name ends in, [`MAX_PREVIEW_SECS`] where it says
    /// nothing, and never more than that.
    pub fn lasts(&self) -> u64 {
        let said = self.tid.rsplit_once('-').and_then(|(_, said)| number(said.as_bytes(), MAX_PREVIEW_SECS));
        said.filter(|seconds| *seconds > 0).unwrap_or(MAX_PREVIEW_SECS)
    }

    /// Signs the token as a cookie value, `d1.`...
    pub fn sign_cookie(&self, key: &PreviewKey, host: &str) -> String {
        self.sign(COOKIE.version, key, host)
    }

    /// Signs the token for a link, `l1.`... The prefix is part of the signed text, so a link is no cookie.
    pub fn sign_link(&self, key: &PreviewKey, host: &str) -> String {
        self.sign(LINK.version, key, host)
    }

    /// Verifies a cookie value.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_cookie(value: &str, host: &str, keys: &[PreviewKey], now: u64) -> Result<Self, TokenError> {
        Self::verify(&COOKIE, value, host, keys, now)
    }

    /// Verifies a link token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_link(value: &str, host: &str, keys: &[PreviewKey], now: u64) -> Result<Self, TokenError> {
        Self::verify(&LINK, value, host, keys, now)
    }

    fn sign(&self, version: &str, key: &PreviewKey, host: &str) -> String {
        let signed = format!("{version}.{}.{}.{}.{}", self.kid, self.release, self.expiry, self.tid);
        let mac = mac(&key.secret, host, &signed);
        let mac = std::str::from_utf8(&mac).unwrap_or_default();
        format!("{signed}.{mac}")
    }

    fn verify(
        form: &Form,
        value: &str,
        host: &str,
        keys: &[PreviewKey],
        now: u64,
    ) -> Result<Self, TokenError> {
        if value.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let mut parts = value.split('.');
        let mut next = || parts.next().ok_or(TokenError::Malformed);
        let (version, kid, release, expiry, tid, given) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if version != form.version || parts.next().is_some() || !is_name(kid) || !is_name(tid) {
            return Err(TokenError::Malformed);
        }
        let release = ReleaseId::from_bytes(release.as_bytes()).ok_or(TokenError::Malformed)?;
        let expiry = number(expiry.as_bytes(), MAX_GENERATION).ok_or(TokenError::Malformed)?;
        let usable = |key: &&PreviewKey| key.kid == kid && key.secret.len() >= MIN_SECRET;
        let key = keys.iter().find(usable).ok_or(TokenError::UnknownKey)?;
        let signed = &value[..value.len() - given.len() - 1];
        if !bool::from(mac(&key.secret, host, signed).ct_eq(given.as_bytes())) {
            return Err(TokenError::BadMac);
        }
        if expiry > now.saturating_add(form.longest + CLOCK_SKEW) {
            // Properly signed for longer than anything may be: a signer that is not ours.
            return Err(TokenError::Malformed);
        }
        let token = Self { kid: kid.to_owned(), release, expiry, tid: tid.to_owned() };
        if now >= expiry { Err(TokenError::Expired(token)) } else { Ok(token) }
    }
}

/// The two forms of a token.
struct Form {
    version: &'static str,
    longest: u64,
}

const COOKIE: Form = Form { version: "d1", longest: MAX_PREVIEW_SECS };
const LINK: Form = Form { version: "l1", longest: MAX_LINK_SECS };

/// A key's or token's name: `[A-Za-z0-9_-]{1,32}`.
fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(inside)
}

/// Characters of a signature: 32 bytes in base64url without padding.
const MAC_TEXT: usize = 43;

fn mac(secret: &[u8], host: &str, signed: &str) -> [u8; MAC_TEXT] {
    let mut text = [0; MAC_TEXT];
    // HMAC takes keys of every length and 32 bytes fill 43 characters: neither branch fails. A text of zeros would
    // verify nothing, since it is no base64.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
        for part in ["cutover-preview\n", host, "\n", signed] {
            mac.update(part.as_bytes());
        }
        let _ = URL_SAFE_NO_PAD.encode_slice(mac.finalize().into_bytes(), &mut text);
    }
    text
}

/// Name of the preview cookie.
pub fn preview_cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-cutover-preview" } else { "cutover-preview" }
}

/// The value of a `Set-Cookie` header that starts a preview; `max_age` in seconds.
pub fn preview_set_cookie(secure: bool, value: &str, max_age: u64) -> String {
    let name = preview_cookie_name(secure);
    let flag = if secure { " Secure;" } else { "" };
    format!("{name}={value}; Path=/;{flag} HttpOnly; SameSite=Lax; Max-Age={max_age}")
}

/// The value of a `Set-Cookie` header that ends a preview.
pub fn preview_clear_cookie(secure: bool) -> String {
    preview_set_cookie(secure, "", 0)
}
