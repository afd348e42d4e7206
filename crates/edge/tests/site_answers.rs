//! What a site answers, request by request.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{collections::BTreeMap, fs, path::Path};

use cutover_edge::{
    manifest::{Blob, SiteFile, SiteManifest},
    site::{LoadError, Site, SiteAnswer, SiteBody, SiteRequest, SiteResponse},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const PAGE: &[u8] = b"<!doctype html><title>shop</title>";
const SCRIPT: &[u8] = b"console.log('the script as it is, long enough to have parts')";

fn put(blobs: &Path, bytes: &[u8]) -> Blob {
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let blob = Blob { sha256, size: bytes.len() as u64 };
    let path = blob.path(blobs);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    blob
}

fn plain(blobs: &Path, content_type: &str, bytes: &[u8]) -> SiteFile {
    SiteFile {
        content_type: content_type.into(),
        fingerprinted: false,
        html: content_type.starts_with("text/html"),
        identity: put(blobs, bytes),
        br: None,
        zstd: None,
        gzip: None,
    }
}

/// A shop: documents, a script in all encodings whose path names its content, an image.
fn manifest(blobs: &Path) -> SiteManifest {
    let html = "text/html; charset=utf-8";
    let mut script = plain(blobs, "text/javascript; charset=utf-8", SCRIPT);
    script.fingerprinted = true;
    script.br = Some(put(blobs, b"brotli, the smallest"));
    script.zstd = Some(put(blobs, b"zstd, a little longer"));
    script.gzip = Some(put(blobs, b"gzip, the longest of the three"));
    let files = BTreeMap::from([
        ("/index.html".to_owned(), plain(blobs, html, PAGE)),
        ("/about/index.html".to_owned(), plain(blobs, html, b"about")),
        ("/b\u{fc}cher & mehr/index.html".to_owned(), plain(blobs, html, b"books")),
        ("/contact.html".to_owned(), plain(blobs, html, b"contact")),
        ("/assets/app-1a2b.js".to_owned(), script),
        ("/logo.png".to_owned(), plain(blobs, "image/png", b"\x89PNG")),
        ("/empty.txt".to_owned(), plain(blobs, "text/plain", b"")),
    ]);
    SiteManifest { files, fallback: Some("/index.html".into()) }
}

struct World {
    dir: TempDir,
    site: Site,
}

fn world(memory_limit: u64) -> World {
    let dir = TempDir::new().unwrap();
    let manifest = manifest(dir.path());
    let site = Site::load(&manifest, dir.path(), memory_limit).unwrap();
    World { dir, site }
}

#[derive(Default)]
struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    navigation: bool,
    strip: bool,
    fingerprinted_only: bool,
}

impl World {
    fn ask(&self, ask: Ask<'_>) -> SiteAnswer {
        let mut headers = HeaderMap::new();
        for (name, value) in ask.headers {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        self.site.answer(&SiteRequest {
            method: &ask.method,
            path: ask.path,
            query: ask.query,
            headers: &headers,
            navigation: ask.navigation,
            strip_conditionals: ask.strip,
            fingerprinted_only: ask.fingerprinted_only,
        })
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> SiteResponse {
        found(self.ask(Ask { path, headers, ..Ask::default() }))
    }
}

fn found(answer: SiteAnswer) -> SiteResponse {
    match answer {
        SiteAnswer::Found(response) => response,
        other => panic!("expected a response, got {other:?}"),
    }
}

fn bytes(body: &SiteBody) -> Vec<u8> {
    match body {
        SiteBody::Empty => Vec::new(),
        SiteBody::Memory(bytes) => bytes.to_vec(),
        SiteBody::File { path, offset, len } => {
            let whole = fs::read(path).unwrap();
            whole[usize::try_from(*offset).unwrap()..][..usize::try_from(*len).unwrap()].to_vec()
        }
    }
}

fn header<'a>(response: &'a SiteResponse, name: &str) -> Option<&'a str> {
    assert!(response.headers.get_all(name).iter().count() < 2, "{name} is there twice");
    response.headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn paths_lead_to_documents_files_redirects_or_nothing() {
    let world = world(u64::MAX);
    let navigate =
        |path| match world.ask(Ask { path, navigation: true, query: "q=1&r=%20", ..Ask::default() }) {
            SiteAnswer::Found(response) => String::from_utf8_lossy(&bytes(&response.body)).into_owned(),
            SiteAnswer::Redirect(to) => format!("-> {to}"),
            SiteAnswer::Missing => "missing".to_owned(),
        };
    let page = std::str::from_utf8(PAGE).unwrap();
    let cases = [
        ("/", page),
        ("/index.html", page),
        ("/about", "-> /about/?q=1&r=%20"),
        ("/about/", "about"),
        ("/b\u{fc}cher & mehr", "-> /b%C3%BCcher%20&%20mehr/?q=1&r=%20"),
        ("/contact", "contact"),
        ("/contact.html", "contact"),
        ("/products/42", page),
        ("/users/jane.doe", page),
        ("/assets/app-9z9z.js", "missing"),
        ("/old.css", "missing"),
        ("/favicon.ico", "missing"),
    ];
    for (path, expected) in cases {
        assert_eq!(navigate(path), expected, "{path}");
    }
}

#[test]
fn the_fallback_answers_navigations_only() {
    let world = world(u64::MAX);
    assert!(matches!(world.ask(Ask { path: "/products/42", ..Ask::default() }), SiteAnswer::Missing));
    for method in [Method::POST, Method::OPTIONS] {
        let answer = world.ask(Ask { method, path: "/products/42", navigation: true, ..Ask::default() });
        assert!(matches!(answer, SiteAnswer::Missing));
    }
    assert!(found(world.ask(Ask { path: "/products/42", navigation: true, ..Ask::default() })).html);
}

#[test]
fn a_redirect_without_a_query_has_no_question_mark() {
    let world = world(u64::MAX);
    let answer = world.ask(Ask { path: "/about", ..Ask::default() });
    assert!(matches!(answer, SiteAnswer::Redirect(to) if to == "/about/"));
}

#[test]
fn other_releases_are_asked_for_fingerprinted_files_only() {
    let world = world(u64::MAX);
    let ask = |path| world.ask(Ask { path, navigation: true, fingerprinted_only: true, ..Ask::default() });
    assert!(found(ask("/assets/app-1a2b.js")).fingerprinted);
    for path in ["/", "/index.html", "/about", "/about/", "/contact", "/logo.png", "/products/42"] {
        assert!(matches!(ask(path), SiteAnswer::Missing), "{path}");
    }
    assert_eq!(world.site.fingerprinted_paths().collect::<Vec<_>>(), ["/assets/app-1a2b.js"]);
}

#[test]
fn headers_say_what_may_be_cached_and_what_it_is() {
    let world = world(u64::MAX);
    let cases = [
        ("/", "private, no-cache", "text/html; charset=utf-8", None),
        ("/logo.png", "private, no-cache", "image/png", None),
        (
            "/assets/app-1a2b.js",
            "public, max-age=31536000, immutable",
            "text/javascript; charset=utf-8",
            Some("accept-encoding"),
        ),
    ];
    for (path, cache, content_type, vary) in cases {
        let response = world.get(path, &[]);
        assert_eq!(response.status, 200);
        assert_eq!(header(&response, "cache-control"), Some(cache), "{path}");
        assert_eq!(header(&response, "content-type"), Some(content_type), "{path}");
        assert_eq!(header(&response, "vary"), vary, "{path}");
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&response, "accept-ranges"), Some("bytes"));
        assert_eq!(header(&response, "last-modified"), None);
        assert_eq!(header(&response, "content-length").unwrap(), bytes(&response.body).len().to_string());
    }
}

#[test]
fn each_encoding_has_its_own_bytes_and_tag() {
    let world = world(u64::MAX);
    let mut tags = Vec::new();
    for (accept, encoding, start) in [
        ("br, gzip", Some("br"), "brotli"),
        ("zstd", Some("zstd"), "zstd"),
        ("gzip", Some("gzip"), "gzip"),
        ("", None, "console"),
    ] {
        let response = world.get("/assets/app-1a2b.js", &[("accept-encoding", accept)]);
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert!(bytes(&response.body).starts_with(start.as_bytes()), "{accept}");
        let tag = header(&response, "etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
        let again = [("accept-encoding", accept), ("if-none-match", tag.as_str())];
        assert_eq!(world.get("/assets/app-1a2b.js", &again).status, 304);
        assert!(!tags.contains(&tag));
        tags.push(tag);
    }
    let other = [("accept-encoding", "gzip"), ("if-none-match", tags[0].as_str())];
    assert_eq!(
        world.get("/assets/app-1a2b.js", &other).status,
        200,
        "another encoding is not what the client has"
    );
}

#[test]
fn a_304_updates_the_copy_and_has_no_content() {
    let world = world(u64::MAX);
    let tag = header(&world.get("/assets/app-1a2b.js", &[]), "etag").unwrap().to_owned();
    let response = world.get("/assets/app-1a2b.js", &[("if-none-match", &tag)]);
    assert_eq!(response.status, 304);
    assert!(bytes(&response.body).is_empty());
    for (name, present) in [
        ("etag", true),
        ("cache-control", true),
        ("vary", true),
        ("content-length", false),
        ("content-type", false),
    ] {
        assert_eq!(header(&response, name).is_some(), present, "{name}");
    }
}

#[test]
fn stripped_conditionals_never_confirm_another_releases_copy() {
    let world = world(u64::MAX);
    let tag = header(&world.get("/", &[]), "etag").unwrap().to_owned();
    for (name, status) in [("if-none-match", 304), ("if-match", 200)] {
        let headers = [(name, tag.as_str())];
        assert_eq!(world.get("/", &headers).status, status);
        assert_eq!(
            found(world.ask(Ask { path: "/", headers: &headers, strip: true, ..Ask::default() })).status,
            200
        );
    }
    let failing = [("if-match", "\"other\"")];
    assert_eq!(world.get("/", &failing).status, 412);
}

#[test]
fn head_answers_like_get_without_the_body() {
    let world = world(u64::MAX);
    let head = found(world.ask(Ask { method: Method::HEAD, path: "/", ..Ask::default() }));
    let get = world.get("/", &[]);
    assert_eq!((head.status, &head.headers), (get.status, &get.headers));
    assert!(matches!(head.body, SiteBody::Empty));
    let ranged =
        Ask { method: Method::HEAD, path: "/", headers: &[("range", "bytes=0-1")], ..Ask::default() };
    assert_eq!(found(world.ask(ranged)).status, 200, "a range means nothing to HEAD");
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let world = world(u64::MAX);
    for method in
        [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::from_bytes(b"BREW").unwrap()]
    {
        for path in ["/", "/about", "/assets/app-1a2b.js"] {
            let response = found(world.ask(Ask { method: method.clone(), path, ..Ask::default() }));
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(header(&response, "allow"), Some("GET, HEAD"));
            assert_eq!(header(&response, "cache-control"), Some("no-store"));
        }
        assert!(matches!(world.ask(Ask { method, path: "/none", ..Ask::default() }), SiteAnswer::Missing));
    }
}

#[test]
fn ranges_come_from_memory_and_from_files_alike() {
    for limit in [u64::MAX, 0] {
        let world = world(limit);
        let path = "/assets/app-1a2b.js";
        let part = world.get(path, &[("range", "bytes=8-10")]);
        assert_eq!(part.status, 206);
        assert_eq!(bytes(&part.body), &SCRIPT[8..=10]);
        assert_eq!(header(&part, "content-range").unwrap(), format!("bytes 8-10/{}", SCRIPT.len()));
        assert_eq!(header(&part, "content-length"), Some("3"));
        assert_eq!(header(&part, "etag"), header(&world.get(path, &[]), "etag"));

        let encoded = world.get(path, &[("range", "bytes=-8"), ("accept-encoding", "br")]);
        assert_eq!(bytes(&encoded.body), b"smallest", "ranges are of the encoded bytes");

        let tag = header(&part, "etag").unwrap();
        assert_eq!(world.get(path, &[("range", "bytes=0-1"), ("if-range", tag)]).status, 206);
        for other in ["\"other\"", "Fri, 31 Dec 2100 00:00:00 GMT", &format!("W/{tag}")] {
            assert_eq!(
                world.get(path, &[("range", "bytes=0-1"), ("if-range", other)]).status,
                200,
                "{other}"
            );
        }

        let beyond = world.get(path, &[("range", "bytes=1000-")]);
        assert_eq!(beyond.status, 416);
        assert_eq!(header(&beyond, "content-range").unwrap(), format!("bytes */{}", SCRIPT.len()));
        assert_eq!(
            (header(&beyond, "content-length"), header(&beyond, "cache-control")),
            (Some("0"), Some("no-store"))
        );

        let several = world.get(path, &[("range", "bytes=0-1,4-5")]);
        assert_eq!((several.status.as_u16(), bytes(&several.body).as_slice()), (200, SCRIPT));
    }
}

#[test]
fn memory_is_bounded_and_the_smallest_files_come_first() {
    let world = world(60);
    assert!(world.site.memory() <= 60);
    assert!(matches!(world.get("/logo.png", &[]).body, SiteBody::Memory(_)));
    assert!(matches!(world.get("/assets/app-1a2b.js", &[]).body, SiteBody::File { .. }));
    assert_eq!(self::world(0).site.memory(), 0);
}

#[test]
fn a_site_that_is_not_whole_is_not_loaded() {
    let World { dir, .. } = world(0);
    let good = manifest(dir.path());
    let logo = good.files["/logo.png"].identity.path(dir.path());

    fs::write(&logo, b"\x89PNX").unwrap();
    assert!(
        matches!(Site::load(&good, dir.path(), u64::MAX), Err(LoadError::Damaged { path, .. }) if path == "/logo.png")
    );
    fs::write(&logo, b"\x89P").unwrap();
    for limit in [0, u64::MAX] {
        assert!(matches!(Site::load(&good, dir.path(), limit), Err(LoadError::Damaged { .. })));
    }
    fs::remove_file(&logo).unwrap();
    for limit in [0, u64::MAX] {
        assert!(matches!(Site::load(&good, dir.path(), limit), Err(LoadError::Unreadable { .. })));
    }

    let mut no_fallback = manifest(dir.path());
    no_fallback.fallback = Some("/gone.html".into());
    let mut bad_type = manifest(dir.path());
    bad_type.files.get_mut("/logo.png").unwrap().content_type = "image/png\r\nx: y".into();
    let mut bad_digest = manifest(dir.path());
    bad_digest.files.get_mut("/logo.png").unwrap().identity.sha256 = "../../etc/passwd".into();
    let mut bad_path = manifest(dir.path());
    bad_path.files.insert("relative".into(), good.files["/index.html"].clone());
    for bad in [no_fallback, bad_type, bad_digest, bad_path] {
        assert!(matches!(Site::load(&bad, dir.path(), u64::MAX), Err(LoadError::Manifest { .. })), "{bad:?}");
    }
}

/// Values that look like `Range`, and values that do not.
fn range_like() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "bytes=[0-9]{0,3}-[0-9]{0,3}(,[0-9]{0,2}-[0-9]{0,2}){0,2}".prop_map(String::into_bytes),
        "[ -~\t]{0,40}".prop_map(String::into_bytes),
        "bytes=[0-9]{0,40}-[0-9]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn any_range_yields_the_right_bytes_of_the_whole(value in range_like(), in_memory: bool, gzip: bool) {
        let world = world(if in_memory { u64::MAX } else { 0 });
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        if gzip {
            headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
        }
        for path in ["/assets/app-1a2b.js", "/empty.txt"] {
            let request = |headers| found(world.site.answer(&SiteRequest {
                method: &Method::GET, path, query: "", headers, navigation: false, strip_conditionals: false, fingerprinted_only: false,
            }));
            let whole = bytes(&request(&headers).body);
            let mut ranged = headers.clone();
            ranged.insert("range", value.clone());
            let response = request(&ranged);
            let body = bytes(&response.body);
            let length: usize = header(&response, "content-length").unwrap().parse().unwrap();
            prop_assert_eq!(length, body.len());
            match response.status.as_u16() {
                200 => prop_assert_eq!(body, whole),
                206 => {
                    let said = header(&response, "content-range").unwrap().strip_prefix("bytes ").unwrap();
                    let (range, size) = said.split_once('/').unwrap();
                    let (first, last) = range.split_once('-').unwrap();
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    prop_assert_eq!(size.parse::<usize>().unwrap(), whole.len());
                    prop_assert_eq!(body, &whole[first..=last]);
                }
                416 => prop_assert!(body.is_empty()),
                other => prop_assert!(false, "status {other}"),
            }
        }
    }
}
