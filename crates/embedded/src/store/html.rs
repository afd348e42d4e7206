//! The release marker and the tabs script in documents.
//!
//! `<meta name="cutover-release">` says which release a page is, and `/.cutover/visit.js` makes its requests say so too, which
//! keeps two tabs on two releases whole. Both go to the start of the head, so that the script comes before the page's own.
//!
//! The parser only *finds* the place; the bytes are then spliced in, so everything else of the page stays as it was, however
//! broken it is. What cannot be placed safely is left alone: fragments, and encodings in which our ASCII would be garbage.

use std::{cell::RefCell, ops::Range};

use cutover_routing::ReleaseId;
use lol_html::{HtmlRewriter, Settings, doctype, element, html_content::Element};

use super::csp;

/// Name of the meta element.
const META_NAME: &str = "cutover-release";
/// Address of the tabs script.
const SCRIPT: &str = "/.cutover/visit.js";
/// Browsers look for a page's encoding in its first bytes only (HTML, "prescan a byte stream").
const PRESCAN: usize = 1024;

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marked {
    /// With marker and script.
    Whole(Vec<u8>),
    /// With the marker only, because the page's own policy forbids the script.
    MetaOnly(Vec<u8>),
    /// As it was, for this reason.
    Untouched(&'static str),
}

/// Marks a page of `release`, served at `host`.
pub(super) fn mark(page: &[u8], release: &ReleaseId, host: &str) -> Marked {
    if page.starts_with(&[0xff, 0xfe]) || page.starts_with(&[0xfe, 0xff]) || page.contains(&0) {
        return Marked::Untouched("it is not in an encoding that extends ASCII");
    }
    let Some(found) = examine(page) else { return Marked::Untouched("it cannot be parsed") };
    let allowed = found.policies.iter().all(|policy| csp::allows_own_script(policy, host, SCRIPT));
    let meta = format!("<meta name=\"{META_NAME}\" content=\"{release}\">");
    let script =
        if allowed && !found.script { format!("<script src=\"{SCRIPT}\"></script>") } else { String::new() };
    let added = meta.len() + script.len();

    let marked = if let Some(old) = &found.marker {
        // Built from pages that were saved from a running release: the old marker would be a lie.
        splice(page, old.clone(), &format!("{meta}{script}"))
    } else {
        let Some(place) = found.place(added) else {
            return Marked::Untouched("it is a fragment, not a document");
        };
        splice(page, place..place, &format!("{meta}{script}"))
    };
    if allowed { Marked::Whole(marked) } else { Marked::MetaOnly(marked) }
}

fn splice(page: &[u8], at: Range<usize>, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.len() + text.len());
    out.extend_from_slice(&page[..at.start]);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&page[at.end..]);
    out
}

/// What a page contains, by position.
#[derive(Debug, Default)]
struct Found {
    /// End of the doctype, if there is one.
    doctype: Option<usize>,
    /// End of the first `<html>` tag.
    html: Option<usize>,
    /// End of the first `<head>` tag, if nothing that belongs into a body comes before it.
    head: Option<usize>,
    /// Start of the first tag that is neither `<html>` nor `<head>`, and whether such a tag makes a document.
    first: Option<(usize, bool)>,
    /// End of the element that names the encoding, if it is near enough to the start to count.
    charset: Option<usize>,
    /// Whether something that fetches or changes addresses comes before that element.
    busy_before_charset: bool,
    /// Whether the tags so far may all be in the head.
    in_body: bool,
    /// The marker that is there already.
    marker: Option<Range<usize>>,
    /// Whether the script is there already.
    script: bool,
    /// Policies in meta elements.
    policies: Vec<String>,
}

impl Found {
    /// Where to add `added` bytes.
    fn place(&self, added: usize) -> Option<usize> {
        let is_document = self.doctype.is_some()
            || self.html.is_some()
            || self.head.is_some()
            || self.first.is_some_and(|(_, is)| is);
        if !is_document {
            return None;
        }
        // After the doctype, or browsers fall into quirks mode.
        let start = self.head.or(self.html).or(self.doctype).or(self.first.map(|(start, _)| start))?;
        match self.charset {
            // In its usual place at the start of the head it may stay there.
            Some(charset) if charset > start && (!self.busy_before_charset || charset + added > PRESCAN) => {
                Some(charset)
            }
            _ => Some(start),
        }
    }

    fn see(&mut self, element: &Element<'_, '_>) {
        let at = element.source_location().bytes();
        let name = element.tag_name();
        match name.as_str() {
            "html" => {
                self.html.get_or_insert(at.end);
                return;
            }
            "head" => {
                if !self.in_body {
                    self.head.get_or_insert(at.end);
                }
                return;
            }
            _ => {}
        }
        self.first
            .get_or_insert((at.start, matches!(name.as_str(), "title" | "body" | "meta" | "link" | "base")));
        match name.as_str() {
            "meta" => self.see_meta(element, at),
            "script" => {
                self.script |= element.get_attribute("src").is_some_and(|src| src.trim_ascii() == SCRIPT);
                self.busy_before_charset |= self.charset.is_none();
            }
            "base" | "link" | "style" => self.busy_before_charset |= self.charset.is_none(),
            "title" | "noscript" | "template" => {}
            _ => self.in_body = true,
        }
    }

    fn see_meta(&mut self, element: &Element<'_, '_>, at: Range<usize>) {
        let attribute = |name| element.get_attribute(name).unwrap_or_default();
        if attribute("name").trim_ascii().eq_ignore_ascii_case(META_NAME) {
            self.marker.get_or_insert(at);
            return;
        }
        let directive = attribute("http-equiv");
        let directive = directive.trim_ascii();
        if directive.eq_ignore_ascii_case("content-security-policy") {
            // A policy that cannot be read is taken for one that forbids.
            self.policies
                .push(unescape(&attribute("content")).unwrap_or_else(|| "script-src 'none'".to_owned()));
        }
        let names_encoding =
            element.has_attribute("charset") || directive.eq_ignore_ascii_case("content-type");
        if names_encoding && at.end <= PRESCAN && !self.in_body {
            self.charset.get_or_insert(at.end);
        }
    }
}

/// Resolves the character references of an attribute, which the parser leaves as written: numbers, and the names of what a
/// policy can contain. None for any other.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (reference, tail) = after.split_once(';')?;
        out.push(match reference {
            "apos" => '\'',
            "quot" => '"',
            "amp" => '&',
            "colon" => ':',
            "semi" => ';',
            "comma" => ',',
            "sol" => '/',
            "ast" => '*',
            "period" => '.',
            _ => {
                let number = reference.strip_prefix('#')?;
                let hex = number.strip_prefix(['x', 'X']);
                char::from_u32(hex.map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16)).ok()?)?
            }
        });
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

fn examine(page: &[u8]) -> Option<Found> {
    let found = RefCell::new(Found::default());
    {
        // Attribute values are decoded as UTF-8 and may be garbled in other encodings; those we look at are ASCII, and
        // positions are those of bytes.
        let settings = Settings::new()
            .append_element_content_handler(element!("*", |element| {
                found.borrow_mut().see(element);
                Ok(())
            }))
            .append_document_content_handler(doctype!(|doctype| {
                found.borrow_mut().doctype.get_or_insert(doctype.source_location().bytes().end);
                Ok(())
            }))
            // A page that a browser reads in one of two ways is read in the likelier one.
            .with_strict(false);
        let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
        rewriter.write(page).ok()?;
        rewriter.end().ok()?;
    }
    Some(found.into_inner())
}

#[cfg(test)]
mod tests;
