//! Queries with the names of a rollout filled in.

use std::time::Duration;

use super::Unknown;

/// What a query may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// `{{release}}`: the release that is judged.
    pub release: &'a str,
    /// `{{blue}}`: the one it is compared with; none for the first release ever.
    pub blue: Option<&'a str>,
    /// `{{window}}`: over how long.
    pub window: Duration,
}

/// Fills in `{{release}}`, `{{blue}}` and `{{window}}`. Names are escaped for the inside of a label's quotes; the window
/// is a PromQL duration, in milliseconds where it is no whole number of seconds.
///
/// # Errors
/// [`Unknown::Unusable`] for any other name, for `{{` without `}}`, and for `{{blue}}` where there is none: an empty
/// label would match the series that lack it.
pub fn fill(query: &str, names: &Names<'_>) -> Result<String, Unknown> {
    let unusable = |why: String| Unknown::Unusable { what: "query", why };
    let mut filled = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) =
            after.split_once("}}").ok_or_else(|| unusable("`{{` is not followed by `}}`".to_owned()))?;
        match name.trim() {
            "release" => filled.push_str(&escaped(names.release)),
            "blue" => filled.push_str(&escaped(names.blue.ok_or_else(|| {
                unusable("it names {{blue}}, and there is no release to compare with yet".to_owned())
            })?)),
            "window" => filled.push_str(&duration(names.window)),
            other => {
                return Err(unusable(format!(
                    "{{{{{other}}}}} is none of {{{{release}}}}, {{{{blue}}}}, {{{{window}}}}"
                )));
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// For the inside of double or single quotes. PromQL follows Go, which refuses `\"` in single quotes and the reverse, so
/// that both are written by number.
fn escaped(label: &str) -> String {
    let mut out = String::new();
    for c in label.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\x22"),
            '\'' => out.push_str("\\x27"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

fn duration(window: Duration) -> String {
    let ms = window.as_millis().max(1);
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names<'static> {
        Names { release: "greenaaa", blue: Some("blueaaaa"), window: Duration::from_secs(90) }
    }

    #[test]
    fn names_are_filled_in() {
        let query = "rate(errors{release=\"{{release}}\"}[{{ window }}]) / rate(errors{release=\"{{blue}}\"}[{{window}}])";
        let expected = "rate(errors{release=\"greenaaa\"}[90s]) / rate(errors{release=\"blueaaaa\"}[90s])";
        assert_eq!(fill(query, &names()).unwrap(), expected);
        assert_eq!(fill("up{a=\"b\"}", &names()).unwrap(), "up{a=\"b\"}");
        let short = Names { window: Duration::from_millis(1500), ..names() };
        assert_eq!(fill("x[{{window}}]", &short).unwrap(), "x[1500ms]");
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let hostile = Names { release: "a\"} or vector(0) # \\\n", ..names() };
        assert_eq!(
            fill("x{r=\"{{release}}\"}", &hostile).unwrap(),
            "x{r=\"a\\x22} or vector(0) # \\\\\\n\"}"
        );
        // What is filled in is not looked at again.
        let nested = Names { release: "{{blue}}", ..names() };
        assert_eq!(fill("{{release}}", &nested).unwrap(), "{{blue}}");
    }

    #[test]
    fn what_cannot_be_filled_in_is_unknown() {
        for (query, why) in [
            ("x{a=\"{{color}}\"}", "{{color}} is none of"),
            ("x{{release", "not followed"),
            ("{{}}", "none of"),
        ] {
            let found = fill(query, &names()).unwrap_err().to_string();
            assert!(found.contains(why), "{query}: {found}");
        }
        let first = Names { blue: None, ..names() };
        assert!(fill("x{r=\"{{blue}}\"}", &first).unwrap_err().to_string().contains("no release to compare"));
        assert_eq!(fill("x", &first).unwrap(), "x");
    }
}
