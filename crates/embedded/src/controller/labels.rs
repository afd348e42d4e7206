//! The labels people give releases: shown in terminals, pages and logs, and typed to name a release.

use std::collections::BTreeSet;

use cutover_engine::{Error, ErrorKind, control::StageRequest};
use cutover_routing::ReleaseId;

/// Most characters of a label.
const LONGEST: usize = 64;

/// Refuses labels that cannot be shown in one line or would stand for another release. `known`: every id ever given.
pub(super) fn check(request: &StageRequest, known: &BTreeSet<ReleaseId>) -> Result<(), Error> {
    for (what, label) in [("name", &request.name), ("commit", &request.commit)] {
        let Some(label) = label else { continue };
        if let Some(why) = unfit(label) {
            return Err(refused(what, label, why)
                .hint(format!("give 1 to {LONGEST} printable characters, e.g. a version such as `v2.1`")));
        }
    }
    if let Some(name) = &request.name
        && known.iter().any(|id| id.as_str() == name)
    {
        return Err(refused("name", name, "it is the id of a release")
            .hint("ids go before names: nobody could mean this release by it"));
    }
    Ok(())
}

fn refused(what: &str, label: &str, why: &str) -> Error {
    let shown: String = label.chars().take(LONGEST).collect();
    // With escapes, because it may be meant to harm a terminal.
    Error::new(ErrorKind::Invalid, "CUT0521", format!("{shown:?} cannot be the {what} of a release"))
        .because(why)
}

fn unfit(label: &str) -> Option<&'static str> {
    if label.trim().is_empty() {
        return Some("it is empty");
    }
    if label.trim() != label {
        return Some("it begins or ends with white space");
    }
    if label.chars().count() > LONGEST {
        return Some("it is too long");
    }
    label.chars().any(unprintable).then_some("it has characters that cannot be seen")
}

/// Control characters, separators of lines, and what turns the direction of writing or takes no room.
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> StageRequest {
        StageRequest { name: Some(name.to_owned()), ..StageRequest::default() }
    }

    #[test]
    fn labels_people_use_are_taken() {
        for name in ["v1", "2.0.0-rc.1+build 7", "größer", "発売", "x".repeat(64).as_str()] {
            check(&named(name), &BTreeSet::new()).unwrap();
        }
        check(&StageRequest::default(), &BTreeSet::new()).unwrap();
    }

    #[test]
    fn what_cannot_be_seen_in_one_line_is_refused() {
        for name in ["", " ", " v1", "v1\n", "a\u{1b}[2J", "a\u{202e}b", "a\u{200b}", "x".repeat(65).as_str()]
        {
            for request in
                [named(name), StageRequest { commit: Some(name.to_owned()), ..StageRequest::default() }]
            {
                let error = check(&request, &BTreeSet::new()).unwrap_err();
                assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Invalid, "CUT0521"), "{name:?}");
                assert!(!error.to_string().chars().any(unprintable), "{error}");
            }
        }
    }

    #[test]
    fn the_id_of_a_release_names_no_other() {
        let known = BTreeSet::from(["abcdefgh".parse().unwrap()]);
        assert_eq!(check(&named("abcdefgh"), &known).unwrap_err().code, "CUT0521");
        check(&named("abcdefg"), &known).unwrap();
        let commit = StageRequest { commit: Some("abcdefgh".to_owned()), ..StageRequest::default() };
        check(&commit, &known).unwrap();
    }
}
