//! Preview links and cookies.

use std::sync::Arc;

use cutover_engine::{
    Error, ErrorKind,
    control::{PreviewReport, PreviewRequest},
};
use cutover_routing::{
    MAX_LINK_SECS, MAX_PREVIEW_SECS, PreviewKey, PreviewToken, ReleaseId, ReleaseState, preview_cookie_name,
};

use super::{
    Inner,
    address::{encoded, visitor_url},
    keys::{self, random_name},
    operation::Operation,
    unix_secs,
};
use crate::journal::{RecordKind, Write};

impl Inner {
    pub(super) async fn preview(
        self: Arc<Self>,
        who: String,
        reference: String,
        request: PreviewRequest,
    ) -> Result<PreviewReport, Error> {
        let row = self.resolve(&reference)?;
        let lasts = request.lasts.unwrap_or(MAX_PREVIEW_SECS);
        if !(1..=MAX_PREVIEW_SECS).contains(&lasts) {
            return Err(invalid(format!("a preview cannot last {lasts} s"))
                .hint(format!("give 1 to {MAX_PREVIEW_SECS} seconds")));
        }
        let to = request.to.unwrap_or_else(|| "/".to_owned());
        if !local(&to) {
            return Err(invalid(format!("`{to}` is no path of the app")).hint("give a path such as `/cart`"));
        }
        match self.current_table().state(&row.id) {
            None => {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "CUT0510",
                    format!("release {} is retired and cannot be shown", row.id),
                )
                .hint("stage it again"));
            }
            Some(ReleaseState::Closed) => {
                if let Some(why) = &row.barred {
                    return Err(super::stage::barred(&row.id, why));
                }
                return Err(Error::new(
                    ErrorKind::Refused,
                    "CUT0510",
                    format!("release {} is closed and cannot be shown", row.id),
                )
                .hint("promote it, or stage it again under another id"));
            }
            Some(_) => {}
        }
        let (cookie, cookie_expires) = self.preview_cookie(&row.id, lasts).await?;
        let link_expires = unix_secs() + MAX_LINK_SECS.min(lasts);
        let config = &self.options.config;
        let link = self
            .signed(&row.id, link_expires, |token, key| token.lasting(lasts).sign_link(key, &config.host))?;
        let base = visitor_url(config, self.edge.local_addr());
        let url = format!("{base}.cutover/preview?token={link}&to={}", encoded(&to));
        let operation = Operation::new(&who, "preview", Some(row.id), None)?;
        let note = operation.record(RecordKind::Note, format!("made a preview link of {}", row.id), None);
        self.append(vec![note]).await?;
        Ok(PreviewReport { release: row.id, url, link_expires, cookie, cookie_expires })
    }

    /// A preview cookie `name=value` and the Unix second until which it is honoured.
    pub(super) async fn preview_cookie(&self, id: &ReleaseId, lasts: u64) -> Result<(String, u64), Error> {
        self.rotate_keys().await?;
        let expires = unix_secs() + lasts;
        let config = &self.options.config;
        let value = self.signed(id, expires, |token, key| token.sign_cookie(key, &config.host))?;
        Ok((format!("{}={value}", preview_cookie_name(config.edge.scheme.secure())), expires))
    }

    /// A fresh token and the key it names, which are to be joined in one breath: keys rotate.
    fn signed(
        &self,
        id: &ReleaseId,
        expiry: u64,
        sign: impl FnOnce(PreviewToken, &PreviewKey) -> String,
    ) -> Result<String, Error> {
        let tid = random_name()?;
        Ok(self.with_world(|world| {
            let key = world.keys.signing();
            sign(PreviewToken { kid: key.kid.clone(), release: *id, expiry, tid }, key)
        }))
    }

    /// Makes a new key where the newest is a day old; the edge has it before anything is signed with it.
    async fn rotate_keys(&self) -> Result<(), Error> {
        let _held = self.switch.lock().await;
        let Some(keys) = self.with_world(|world| world.keys.rotated(unix_secs()))? else { return Ok(()) };
        let text = keys::text(&keys)?;
        self.write(Write { meta: vec![(keys::META, text)], ..Write::default() }).await?;
        self.change_world(|world| world.keys = keys);
        self.republish().await;
        Ok(())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "CUT0511", message)
}

/// A path on the same host: a browser must not read it as another host.
fn local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere_else() {
        for path in ["/", "/cart?x=1", "/a//b"] {
            assert!(local(path), "{path}");
        }
        for path in ["", "cart", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb"] {
            assert!(!local(path), "{path:?}");
        }
    }
}
