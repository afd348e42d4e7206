//! The two keys that sign preview tokens.
//!
//! The newest signs, both verify. A key is replaced a day after it was made, when it is next needed; as no token lives
//! longer than a day, the key that falls out has signed nothing that is still valid.

use cutover_engine::{Error, ErrorKind};
use cutover_routing::{MAX_PREVIEW_SECS, PreviewKey};
use serde::{Deserialize, Serialize};

/// Name of the journal's value.
pub(super) const META: &str = "preview_keys";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    key: PreviewKey,
    /// Unix seconds.
    at: u64,
}

/// Newest first; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Made>", into = "Vec<Made>")]
pub(super) struct Keys {
    newest: Made,
    previous: Option<Made>,
}

impl TryFrom<Vec<Made>> for Keys {
    type Error = &'static str;

    fn try_from(made: Vec<Made>) -> Result<Self, Self::Error> {
        let mut made = made.into_iter();
        let newest = made.next().ok_or("there is no preview key")?;
        Ok(Self { newest, previous: made.next() })
    }
}

impl From<Keys> for Vec<Made> {
    fn from(keys: Keys) -> Self {
        std::iter::once(keys.newest).chain(keys.previous).collect()
    }
}

impl Keys {
    /// A first key. `now` in Unix seconds.
    pub(super) fn fresh(now: u64) -> Result<Self, Error> {
        Ok(Self { newest: make(now)?, previous: None })
    }

    /// The keys after a rotation, where one is due.
    pub(super) fn rotated(&self, now: u64) -> Result<Option<Self>, Error> {
        // A clock that was set back must not keep a key for ever.
        let age = now.abs_diff(self.newest.at);
        if age <= MAX_PREVIEW_SECS {
            return Ok(None);
        }
        Ok(Some(Self { newest: make(now)?, previous: Some(self.newest.clone()) }))
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> &PreviewKey {
        &self.newest.key
    }

    /// The keys that verify.
    pub(super) fn verifying(&self) -> Vec<PreviewKey> {
        std::iter::once(&self.newest).chain(&self.previous).map(|made| made.key.clone()).collect()
    }
}

fn make(now: u64) -> Result<Made, Error> {
    let secret = random::<32>()?.to_vec();
    Ok(Made { key: PreviewKey { kid: format!("k{now:x}"), secret }, at: now })
}

/// The keys as the journal keeps them.
pub(super) fn text(keys: &Keys) -> Result<String, Error> {
    serde_json::to_string(keys).map_err(|error| {
        Error::new(ErrorKind::Internal, "CUT0604", "the preview keys cannot be written").because(error)
    })
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Failed, "CUT0608", "cannot get random bytes from the operating system")
            .because(error)
    })?;
    Ok(bytes)
}

/// Random bytes as lower-case hex, for names.
pub(super) fn random_name() -> Result<String, Error> {
    Ok(random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_for_a_day_and_then_verifies_for_another() {
        let first = Keys::fresh(1_000_000).unwrap();
        assert_eq!(first.rotated(1_000_000 + MAX_PREVIEW_SECS).unwrap(), None);
        let second = first.rotated(1_000_001 + MAX_PREVIEW_SECS).unwrap().unwrap();
        assert_ne!(second.signing(), first.signing());
        assert_eq!(second.verifying()[1], *first.signing());
        let third = second.rotated(1_000_002 + 2 * MAX_PREVIEW_SECS).unwrap().unwrap();
        assert_eq!(third.verifying().len(), 2);
        assert!(!third.verifying().contains(first.signing()));
    }

    #[test]
    fn keys_survive_being_written_down() {
        let keys = Keys::fresh(7).unwrap().rotated(7 + 2 * MAX_PREVIEW_SECS).unwrap().unwrap();
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<Keys>(&text).unwrap(), keys);
        assert!(serde_json::from_str::<Keys>("[]").is_err());
    }

    #[test]
    fn kids_fit_into_tokens() {
        let kid = Keys::fresh(u64::from(u32::MAX) * 4).unwrap().signing().kid.clone();
        assert!(
            kid.len() <= 16 && kid.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
    }
}
