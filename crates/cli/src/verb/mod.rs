//! One file a verb: its options and what it does with them.

pub(crate) mod approve;
pub(crate) mod deploy;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod promote;
pub(crate) mod releases;
pub(crate) mod resume;
pub(crate) mod retire;
pub(crate) mod rollback;
pub(crate) mod stage;
pub(crate) mod status;
pub(crate) mod up;
pub(crate) mod wait;
pub(crate) mod withdraw;

use std::fmt::Write;

use cutover_engine::{Error, ErrorKind, control::Release};

use crate::client::Client;

/// The control API path of a verb on one release.
pub(crate) fn release_path(release: &str, verb: &str) -> String {
    format!("/v1/releases/{}/{verb}", segment(release))
}

/// The control API path of one rollout.
pub(crate) fn rollout_path(rollout: &str) -> String {
    format!("/v1/rollouts/{}", segment(rollout))
}

/// Whatever was typed, escaped to stay one segment of a path.
fn segment(typed: &str) -> String {
    let mut segment = String::new();
    for byte in typed.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            segment.push(byte.into());
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

/// The release somebody means: by its id, the start of its id, or its name.
///
/// # Errors
/// When none is meant, or more than one.
pub(crate) fn find_release(client: &Client, wanted: &str) -> Result<Release, Error> {
    let releases: Vec<Release> = client.get("/v1/releases")?;
    pick(releases, wanted)
}

/// As [`find_release`], among releases that were asked for already.
///
/// # Errors
/// When none is meant, or more than one.
pub(crate) fn pick(releases: Vec<Release>, wanted: &str) -> Result<Release, Error> {
    let mut meant: Vec<Release> = Vec::new();
    for release in releases {
        if release.id.as_str() == wanted {
            return Ok(release);
        }
        if release.name.as_deref() == Some(wanted)
            || (!wanted.is_empty() && release.id.as_str().starts_with(wanted))
        {
            meant.push(release);
        }
    }
    match (meant.len(), meant.pop()) {
        (1, Some(release)) => Ok(release),
        (0, _) => Err(Error::new(ErrorKind::NotFound, "CUT0501", format!("there is no release `{wanted}`"))
            .hint("`cutover releases` lists them; give an id, the start of one, or a name")),
        (several, _) => Err(Error::new(
            ErrorKind::Invalid,
            "CUT0502",
            format!("`{wanted}` may mean any of {several} releases"),
        )
        .hint("give more letters of the id")),
    }
}

#[cfg(test)]
mod tests {
    use cutover_engine::control::ReleaseUsage;

    use super::*;

    fn release(id: &str, name: Option<&str>) -> Release {
        Release {
            id: id.parse().unwrap(),
            name: name.map(str::to_owned),
            commit: None,
            state: None,
            outside: None,
            slot: None,
            staged_at: 0,
            staged_by: String::new(),
            files: 0,
            bytes: 0,
            components: Vec::new(),
            gates: Vec::new(),
            usage: ReleaseUsage::default(),
        }
    }

    #[test]
    fn a_release_is_found_by_id_start_or_name_and_never_guessed() {
        let all = || vec![release("abcd1234", Some("v1")), release("abcd5678", None)];
        assert_eq!(pick(all(), "abcd1").unwrap().id.as_str(), "abcd1234");
        assert_eq!(pick(all(), "v1").unwrap().id.as_str(), "abcd1234");
        assert_eq!(pick(all(), "abcd5678").unwrap().id.as_str(), "abcd5678");
        assert_eq!(pick(all(), "abcd").unwrap_err().code, "CUT0502");
        assert_eq!(pick(all(), "").unwrap_err().code, "CUT0501");
    }

    #[test]
    fn a_name_with_slashes_and_dots_stays_one_segment() {
        assert_eq!(release_path("v1.2/..", "retire"), "/v1/releases/v1%2E2%2F%2E%2E/retire");
    }
}
