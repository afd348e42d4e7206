//! Files that must never be on the web. A site whose directory holds one is refused, because it is the wrong directory: what
//! lies beside such a file was not meant to be published either.

use std::path::Path;

use cutover_engine::{Error, ErrorKind, config::AppConfig};

use super::{site_files, walk::Found};

/// A file that gives something away.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    name: String,
    what: &'static str,
}

/// What gives itself away by its name.
pub(super) fn by_name(found: &Found, config: &AppConfig) -> Option<Secret> {
    let file_name = found.name.rsplit('/').next().unwrap_or(&found.name).to_ascii_lowercase();
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_description =
        config.file.canonicalize().is_ok_and(|file| file == found.path) || file_name == "cutover.toml";
    let what = match (file_name.as_str(), extension) {
        _ if is_description => "the app description",
        ("id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519", _) => "a private key",
        (_, "p12" | "pfx" | "jks" | "keystore" | "ppk") => "a private key",
        (_, "kdbx") => "a password store",
        (_, "tfstate") => "the state of an infrastructure, with its secrets",
        _ => return None,
    };
    Some(Secret { name: found.name.clone(), what })
}

/// What gives itself away by its content. A private key in the middle of a script is an example or a test of some library; a
/// file that begins with one is a key.
pub(super) fn by_content(found: &Found, bytes: &[u8]) -> Option<Secret> {
    let start = bytes.trim_ascii_start();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or(start).trim_ascii_end();
    let begins_with_key = line.starts_with(b"-----BEGIN ") && line.ends_with(b"PRIVATE KEY-----");
    let is_key_file =
        [".pem", ".key", ".p8", ".crt"].iter().any(|end| found.name.to_ascii_lowercase().ends_with(end));
    let holds_key = || bytes.windows(KEY_LINE.len()).any(|window| window == KEY_LINE);
    (begins_with_key || (is_key_file && holds_key()))
        .then(|| Secret { name: found.name.clone(), what: "a private key" })
}

/// The end of the line that begins a private key in PEM (RFC 7468).
const KEY_LINE: &[u8] = b"PRIVATE KEY-----";

/// Refuses a site that holds secrets.
pub(super) fn refuse(secrets: impl Iterator<Item = Secret>, root: &Path) -> Result<(), Error> {
    let secrets: Vec<Secret> = secrets.collect();
    let Some(first) = secrets.first() else { return Ok(()) };
    let message = format!(
        "the site's directory {} contains {} ({}); nothing was staged",
        root.display(),
        first.what,
        first.name
    );
    let mut error = Error::new(ErrorKind::Invalid, "CUT0202", message);
    for secret in secrets.iter().skip(1).take(site_files::SHOWN) {
        error = error.because(format!("it contains {} ({}) too", secret.what, secret.name));
    }
    Err(error
        .hint("everything in `dir` of [site] can be read by everybody: point it at the build output, e.g. dir = \"dist\"")
        .hint("move what must stay private out of that directory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::walk::Node;

    fn found(name: &str) -> Found {
        Found {
            name: name.into(),
            path: Path::new("/nowhere").join(name),
            node: Node::File { executable: false },
        }
    }

    #[test]
    fn keys_are_told_from_certificates_and_from_libraries_about_keys() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n";
        let cases = [
            ("server.pem", key.to_owned(), true),
            ("notes.txt", format!("\n  {key}"), true),
            ("no-extension", "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc".to_owned(), true),
            ("both.PEM", format!("{certificate}{key}"), true),
            ("certificate.pem", certificate.to_owned(), false),
            ("public.pem", "-----BEGIN PUBLIC KEY-----\nMIIE".to_owned(), false),
            ("crypto.js", format!("const example = `{key}`"), false),
            ("talk.key", "PK\x03\x04 slides".to_owned(), false),
            ("empty", String::new(), false),
        ];
        for (name, content, expected) in cases {
            assert_eq!(by_content(&found(name), content.as_bytes()).is_some(), expected, "{name}");
        }
    }
}
