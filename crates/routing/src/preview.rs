//! Preview tokens: signed, expiring permission to be served one retained release.

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

/// What a preview token says once its signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PreviewToken {
    /// Which key signed it.
    pub kid: String,
    /// The release it shows.
    pub release: ReleaseId,
    /// Unix seconds after which it is void.
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
    /// Signs the token as a cookie value, `d1.`...
    pub fn sign_cookie(&self, key: &PreviewKey, host: &str) -> String {
        self.sign("d1", key, host)
    }

    /// Signs the token for a link, `l1.`... The prefix is part of the signed text, so a link is no cookie.
    pub fn sign_link(&self, key: &PreviewKey, host: &str) -> String {
        self.sign("l1", key, host)
    }

    /// Verifies a cookie value.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_cookie(value: &str, host: &str, keys: &[PreviewKey], now: u64) -> Result<Self, TokenError> {
        Self::verify("d1", value, host, keys, now)
    }

    /// Verifies a link token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_link(value: &str, host: &str, keys: &[PreviewKey], now: u64) -> Result<Self, TokenError> {
        Self::verify("l1", value, host, keys, now)
    }

    fn sign(&self, version: &str, key: &PreviewKey, host: &str) -> String {
        let signed = format!("{version}.{}.{}.{}.{}", self.kid, self.release, self.expiry, self.tid);
        let mac = URL_SAFE_NO_PAD.encode(mac(&key.secret, host, &signed));
        format!("{signed}.{mac}")
    }

    fn verify(
        version: &str,
        value: &str,
        host: &str,
        keys: &[PreviewKey],
        now: u64,
    ) -> Result<Self, TokenError> {
        let malformed = || TokenError::Malformed;
        let (signed, given) = value.rsplit_once('.').ok_or_else(malformed)?;
        let mut parts = signed.split('.');
        if parts.next() != Some(version) {
            return Err(TokenError::Malformed);
        }
        let kid = parts.next().ok_or_else(malformed)?;
        let release =
            parts.next().and_then(|text| ReleaseId::from_bytes(text.as_bytes())).ok_or_else(malformed)?;
        let expiry =
            parts.next().and_then(|text| number(text.as_bytes(), MAX_GENERATION)).ok_or_else(malformed)?;
        let tid = parts.next().ok_or_else(malformed)?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or(TokenError::UnknownKey)?;
        let given = URL_SAFE_NO_PAD.decode(given).map_err(|_| TokenError::Malformed)?;
        if !bool::from(mac(&key.secret, host, signed).ct_eq(given.as_slice())) {
            return Err(TokenError::BadMac);
        }
        let token = Self { kid: kid.to_owned(), release, expiry, tid: tid.to_owned() };
        if now > expiry { Err(TokenError::Expired(token)) } else { Ok(token) }
    }
}

fn mac(secret: &[u8], host: &str, signed: &str) -> Vec<u8> {
    // HMAC takes keys of every length, so the branch without a key is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return Vec::new() };
    mac.update(b"cutover-preview\n");
    mac.update(host.as_bytes());
    mac.update(b"\n");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
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
