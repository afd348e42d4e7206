//! Clients that are nobody's visit: they get the default release, no pin, and are counted apart.
//!
//! Only asked of navigations without a pin: who brings a pin keeps cookies and is treated as the visitor they look
//! like. The lists are part of the contract; conformance vectors hold them.

use crate::Headers;

/// Crawlers, link previews and monitors, by a part of `User-Agent` in lower case, sorted by their first letter: a user
/// agent is a hundred characters, and nearly none of them begins a word of these.
fn words_with(first: u8) -> &'static [&'static str] {
    match first {
        b'b' => &["bingpreview"],
        b'c' => &["crawler"],
        b'e' => &["embedly"],
        b'f' => &["facebookexternalhit"],
        b'p' => &["pingdom"],
        b's' => &["spider", "slurp", "skypeuripreview", "statuscake", "site24x7"],
        b'u' => &["uptime"],
        b'w' => &["whatsapp/"],
        _ => &[],
    }
}

/// Tools, by the start of `User-Agent` in lower case; only where there is no `Sec-Fetch-Dest`, since a tool that sends
/// one plays a browser on purpose.
const TOOLS: [&str; 16] = [
    "curl/",
    "wget/",
    "python-requests/",
    "python-urllib/",
    "python-httpx/",
    "python/",
    "go-http-client/",
    "java/",
    "apache-httpclient/",
    "apachebench/",
    "libwww-perl/",
    "node-fetch/",
    "axios/",
    "httpie/",
    "postmanruntime/",
    "k6/",
];

/// True where `User-Agent` names a known bot or tool.
pub(crate) fn is_bot<H: Headers + ?Sized>(headers: &H) -> bool {
    let Some(agent) = headers.get("user-agent") else { return false };
    if names_bot(agent.as_bytes()) {
        return true;
    }
    headers.get("sec-fetch-dest").is_none()
        && TOOLS
            .iter()
            .any(|start| agent.get(..start.len()).is_some_and(|have| have.eq_ignore_ascii_case(start)))
}

fn names_bot(agent: &[u8]) -> bool {
    (0..agent.len()).any(|at| {
        let first = agent[at].to_ascii_lowercase();
        words_with(first).iter().any(|word| begins(&agent[at..], word))
            || (first == b'b' && is_bot_word(agent, at))
    })
}

/// `bot` at the end of a word, as in `Googlebot/2.1`; not the make of phones called `CUBOT`.
fn is_bot_word(agent: &[u8], at: usize) -> bool {
    begins(&agent[at..], "bot")
        && !agent.get(at + 3).is_some_and(u8::is_ascii_alphanumeric)
        && !(at >= 2 && agent[at - 2..at].eq_ignore_ascii_case(b"cu"))
}

fn begins(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|have| have.eq_ignore_ascii_case(word.as_bytes()))
}
