//! Clients that are nobody's visit: they get the default release, no pin, and are counted apart.
//!
//! Only asked of navigations without a pin: who brings a pin keeps cookies and is treated as the visitor they look
//! like. The lists are part of the contract; conformance vectors hold them.

use crate::{Headers, classify::find_ignore_case};

/// Crawlers, link previews and monitors, by a part of `User-Agent` in lower case.
const BOTS: [&str; 12] = [
    "crawler",
    "spider",
    "slurp",
    "facebookexternalhit",
    "whatsapp/",
    "embedly",
    "bingpreview",
    "skypeuripreview",
    "pingdom",
    "statuscake",
    "site24x7",
    "uptime",
];

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
    if BOTS.iter().any(|word| find_ignore_case(agent, word).is_some()) || has_bot_word(agent) {
        return true;
    }
    headers.get("sec-fetch-dest").is_none()
        && TOOLS
            .iter()
            .any(|start| agent.get(..start.len()).is_some_and(|have| have.eq_ignore_ascii_case(start)))
}

/// `bot` at the end of a word, as in `Googlebot/2.1`; not the make of phones called `CUBOT`.
fn has_bot_word(agent: &str) -> bool {
    let bytes = agent.as_bytes();
    bytes.windows(3).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(b"bot")
            && !bytes.get(at + 3).is_some_and(u8::is_ascii_alphanumeric)
            && !(at >= 2 && bytes[at - 2..at].eq_ignore_ascii_case(b"cu"))
    })
}
