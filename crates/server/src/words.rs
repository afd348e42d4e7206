//! What people say with a command: kept for good and shown in terminals, so that it is bounded and can be seen.

use cutover_engine::{Error, ErrorKind};

/// Most characters of a reason, a gate's name, a strategy.
pub(crate) const LONGEST: usize = 1000;

/// Refuses words that are too long or have characters a terminal would act on. Line ends and tabs may be there:
/// reasons are pasted from commits.
///
/// # Errors
/// Says what is wrong with which of them.
pub(crate) fn check(words: &[(&str, Option<&str>)]) -> Result<(), Error> {
    for (what, text) in words {
        let Some(text) = text else { continue };
        if let Some(why) = unfit(text) {
            return Err(Error::new(ErrorKind::Invalid, "CUT0654", "cannot read the request")
                .because(format!("its {what} {why}"))
                .hint(format!("give at most {LONGEST} printable characters")));
        }
    }
    Ok(())
}

fn unfit(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("is empty");
    }
    if text.chars().count() > LONGEST {
        return Some("is too long");
    }
    text.chars().any(unseen).then_some("has characters that cannot be seen")
}

/// Control characters, and what turns the direction of writing.
fn unseen(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_passes_and_what_acts_on_terminals_does_not() {
        let said = |text: &str| check(&[("reason", None), ("reason", Some(text))]);
        for text in ["we changed our minds", "müde 😴", "first line\nsecond line", "a\ttab"] {
            assert_eq!(said(text), Ok(()), "{text:?}");
        }
        assert_eq!(said(&"ü".repeat(LONGEST)), Ok(()));
        for text in ["", " \n", "\u{1b}[2J", "a\0b", "abc\u{202e}def", &"x".repeat(LONGEST + 1)] {
            let error = said(text).unwrap_err();
            assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Invalid, "CUT0654"), "{text:?}");
            assert!(error.causes[0].starts_with("its reason "), "{error:?}");
            assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
        }
    }
}
