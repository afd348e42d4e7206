//! `[edge]`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use super::{
    super::{
        meant::{AccessLog, EdgeConfig, Scheme, TlsConfig},
        place::Trouble,
        written::{self, Edge},
    },
    text,
};

pub(super) fn check(written: &Edge, base: &Path, trouble: &mut Trouble<'_>) -> Option<EdgeConfig> {
    let address = |key: &str, written: &Option<_>, port: u16, trouble: &mut Trouble<'_>| match written {
        Some(written) => text::listen(key, written, trouble),
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
    };
    let listen = address("edge.listen", &written.listen, 8080, trouble);
    let control = address("edge.control", &written.control, 9400, trouble);
    if let (Some(listen), Some(control)) = (listen, control)
        && listen == control
        && listen.port() != 0
        && let Some(place) = written.control.as_ref().or(written.listen.as_ref())
    {
        let message = format!("`edge.listen` and `edge.control` are the same address: {listen}");
        trouble.add("CUT0107", place.span(), message);
    }
    let tls = match &written.tls {
        Some(tls) => {
            let file = |key: &str, written: &Option<_>, trouble: &mut Trouble<'_>| {
                written.as_ref().and_then(|written| text::path(key, written, base, trouble))
            };
            let cert = file("edge.tls.cert", &tls.get().cert, trouble);
            let key = file("edge.tls.key", &tls.get().key, trouble);
            cert.zip(key).map(|(cert, key)| Some(TlsConfig { cert, key }))
        }
        None => Some(None),
    };
    let scheme = match (&written.scheme, &written.tls) {
        (Some(scheme), Some(_)) if *scheme.get() == written::Scheme::Http => {
            let hint = "leave `scheme` out: with `tls` visitors use https";
            trouble.add_hint("CUT0107", scheme.span(), "`scheme = \"http\"` contradicts `tls`", hint);
            None
        }
        (Some(scheme), _) => Some(match scheme.get() {
            written::Scheme::Http => Scheme::Http,
            written::Scheme::Https => Scheme::Https,
        }),
        (None, Some(_)) => Some(Scheme::Https),
        (None, None) => Some(Scheme::Http),
    };
    let trusted_proxies: Vec<_> = written
        .trusted_proxies
        .iter()
        .map(|proxy| text::network("edge.trusted_proxies", proxy, trouble))
        .collect();
    let workers = match &written.workers {
        Some(workers) => usize::try_from(*workers.get()).ok().map(Some),
        None => Some(None),
    };
    let access_log = match &written.access_log {
        None => Some(AccessLog::Off),
        Some(log) => match log.get().as_str() {
            "off" => Some(AccessLog::Off),
            "stdout" => Some(AccessLog::Stdout),
            _ => text::path("edge.access_log", log, base, trouble).map(AccessLog::File),
        },
    };
    Some(EdgeConfig {
        listen: listen?,
        control: control?,
        tls: tls?,
        scheme: scheme?,
        trusted_proxies: trusted_proxies.into_iter().collect::<Option<_>>()?,
        workers: workers?,
        access_log: access_log?,
    })
}
