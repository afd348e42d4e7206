//! How a person names a release: id, unambiguous start of an id, or name.

use cutover_engine::{Error, ErrorKind};
use cutover_routing::ReleaseId;

use crate::journal::ReleaseRow;

/// Finds the one release that is meant. Releases that are gone are looked at only where no other fits.
pub(super) fn find<'a>(
    text: &str,
    rows: impl Iterator<Item = &'a ReleaseRow> + Clone,
) -> Result<ReleaseId, Error> {
    if let Some(row) = rows.clone().find(|row| row.id.as_str() == text) {
        return Ok(row.id);
    }
    let fits = |row: &&ReleaseRow| {
        !text.is_empty() && (row.id.as_str().starts_with(text) || row.name.as_deref() == Some(text))
    };
    let mut found: Vec<&ReleaseRow> = rows.clone().filter(|row| row.retained()).filter(fits).collect();
    if found.is_empty() {
        found = rows.filter(fits).collect();
    }
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(Error::new(ErrorKind::NotFound, "CUT0501", format!("there is no release `{text}`"))
            .hint("`cutover releases` lists them; give an id, the start of one, or a name")),
        many => {
            let mut error = Error::new(
                ErrorKind::Invalid,
                "CUT0502",
                format!("`{text}` may mean any of {} releases", many.len()),
            );
            for row in many {
                error = error.because(match &row.name {
                    Some(name) => format!("{} ({name})", row.id),
                    None => row.id.to_string(),
                });
            }
            Err(error.hint("give more of the id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use cutover_engine::control::Outside;

    use super::*;
    use crate::controller::testing::row;

    fn named(id: &str, name: &str) -> ReleaseRow {
        ReleaseRow { name: Some(name.into()), ..row(id) }
    }

    #[test]
    fn an_id_a_start_and_a_name_all_find_it() {
        let rows = [named("abcdefgh", "v1"), named("abxxxxxx", "v2")];
        for text in ["abcdefgh", "abc", "v1"] {
            assert_eq!(find(text, rows.iter()).unwrap(), rows[0].id, "{text}");
        }
    }

    #[test]
    fn what_fits_several_is_refused_and_they_are_listed() {
        let rows = [named("abcdefgh", "v1"), named("abxxxxxx", "v1"), named("cccccccc", "v3")];
        for text in ["ab", "v1"] {
            let error = find(text, rows.iter()).unwrap_err();
            assert_eq!(error.code, "CUT0502");
            assert_eq!(error.causes, ["abcdefgh (v1)", "abxxxxxx (v1)"], "{text}");
        }
    }

    #[test]
    fn a_whole_id_wins_over_a_name_and_a_longer_id() {
        let rows = [named("abcdefgh", "v1"), named("abcdefghi", "abcdefgh")];
        assert_eq!(find("abcdefgh", rows.iter()).unwrap(), rows[0].id);
    }

    #[test]
    fn a_retired_release_gives_way_but_is_still_known() {
        let gone = ReleaseRow { outside: Some(Outside::Retired), ..named("abcdefgh", "v1") };
        let rows = [gone.clone(), named("dddddddd", "v1")];
        assert_eq!(find("v1", rows.iter()).unwrap(), rows[1].id);
        assert_eq!(find("v1", [gone.clone()].iter()).unwrap(), gone.id);
    }

    #[test]
    fn nothing_and_the_unknown_are_not_found() {
        let rows = [named("abcdefgh", "v1")];
        for text in ["", "zz", "V1"] {
            assert_eq!(find(text, rows.iter()).unwrap_err().kind, ErrorKind::NotFound, "{text}");
        }
    }
}
