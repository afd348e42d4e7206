//! The visitor's release cookie.

use std::fmt;

use crate::{BUCKETS, ReleaseId};

/// Life of the pin cookie in seconds: 30 days.
pub const PIN_MAX_AGE: u64 = 2_592_000;

/// Which release a visitor is on, and their place in every later rollout.
///
/// Text form `1.<release>.<bucket>.<generation>`; numbers are decimal without sign, leading zeros or blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin {
    /// The release the visitor is on.
    pub release: ReleaseId,
    /// Drawn once, fixed for life: below 10 000.
    pub bucket: u16,
    /// Generation of the table that put them there.
    pub generation: u64,
}

impl Pin {
    /// Reads a cookie's value; anything else than the exact text form is no pin. Never allocates.
    pub fn parse(value: &str) -> Option<Self> {
        Self::from_bytes(value.as_bytes())
    }

    pub(crate) fn from_bytes(value: &[u8]) -> Option<Self> {
        let rest = value.strip_prefix(b"1.")?;
        let mut parts = rest.split(|byte| *byte == b'.');
        let release = ReleaseId::from_bytes(parts.next()?)?;
        let bucket = number(parts.next()?, u64::from(BUCKETS - 1))?;
        let generation = number(parts.next()?, MAX_GENERATION)?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self { release, bucket: u16::try_from(bucket).ok()?, generation })
    }

    /// Name of the pin cookie. The prefix makes browsers hold it to one host and to https.
    pub fn cookie_name(secure: bool) -> &'static str {
        if secure { "__Host-cutover" } else { "cutover" }
    }

    /// The value of a `Set-Cookie` header that gives the visitor this pin.
    pub fn set_cookie(&self, secure: bool) -> String {
        let name = Self::cookie_name(secure);
        let flag = if secure { " Secure;" } else { "" };
        format!("{name}={self}; Path=/;{flag} HttpOnly; SameSite=Lax; Max-Age={PIN_MAX_AGE}")
    }
}

/// Largest generation: the largest integer JavaScript holds exactly, so that every edge reads the same number.
pub const MAX_GENERATION: u64 = (1 << 53) - 1;

/// A decimal number without sign or leading zeros, not above `max`.
pub(crate) fn number(digits: &[u8], max: u64) -> Option<u64> {
    // 16 digits hold every number up to 2^53 - 1, and cannot overflow 64 bits.
    if digits.is_empty() || digits.len() > 16 || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    (value <= max).then_some(value)
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}.{}", self.release, self.bucket, self.generation)
    }
}
