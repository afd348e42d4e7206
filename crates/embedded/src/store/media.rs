//! What a file is, by its name: type, whether it is a document, whether compressing it can pay.

/// Smaller files fit into one packet with their headers anyway.
const SMALLEST_COMPRESSED: u64 = 256;

/// Value of `Content-Type`. `utf8` says that the content is UTF-8 throughout; only then it may be said, because the header
/// overrides what the file says of itself.
pub(super) fn content_type(path: &str, utf8: bool) -> String {
    let essence = essence(path);
    if utf8 && essence.starts_with("text/") {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    }
}

/// Whether it is a page for a tab, which is what is marked.
pub(super) fn is_html(path: &str) -> bool {
    matches!(essence(path), "text/html" | "application/xhtml+xml")
}

/// Whether tags may be added in the syntax of HTML. XHTML would no longer be well formed with them.
pub(super) fn takes_tags(path: &str) -> bool {
    essence(path) == "text/html"
}

/// Whether compressed forms are tried.
pub(super) fn is_compressible(path: &str, size: u64) -> bool {
    let essence = essence(path);
    size >= SMALLEST_COMPRESSED
        && (essence.starts_with("text/")
            || essence.ends_with("+json")
            || essence.ends_with("+xml")
            || matches!(
                essence,
                "application/json"
                    | "application/javascript"
                    | "application/xml"
                    | "application/wasm"
                    | "application/vnd.ms-fontobject"
                    | "font/ttf"
                    | "font/otf"
                    | "image/bmp"
                    | "image/x-icon"
                    | "model/gltf-binary"
            ))
}

fn essence(path: &str) -> &'static str {
    let extension =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, extension)| extension);
    // What the web platform insists on, or what the general list calls by an older name.
    const OURS: [(&str, &str); 16] = [
        ("avif", "image/avif"),
        ("cjs", "text/javascript"),
        ("glb", "model/gltf-binary"),
        ("ico", "image/x-icon"),
        ("js", "text/javascript"),
        ("jsonld", "application/ld+json"),
        ("jxl", "image/jxl"),
        ("map", "application/json"),
        ("md", "text/markdown"),
        ("mjs", "text/javascript"),
        ("otf", "font/otf"),
        ("ttf", "font/ttf"),
        ("wasm", "application/wasm"),
        ("webmanifest", "application/manifest+json"),
        ("woff", "font/woff"),
        ("woff2", "font/woff2"),
    ];
    OURS.iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|(_, essence)| *essence)
        .or_else(|| mime_guess::from_ext(extension).first_raw())
        .unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_extension_and_charsets_the_content() {
        let cases = [
            ("/index.html", true, "text/html; charset=utf-8"),
            ("/index.html", false, "text/html"),
            ("/a.HTM", true, "text/html; charset=utf-8"),
            ("/a/b-1.js", true, "text/javascript; charset=utf-8"),
            ("/b.mjs", true, "text/javascript; charset=utf-8"),
            ("/b.css", true, "text/css; charset=utf-8"),
            ("/b.json", true, "application/json"),
            ("/b.js.map", true, "application/json"),
            ("/site.webmanifest", true, "application/manifest+json"),
            ("/b.svg", true, "image/svg+xml"),
            ("/b.png", false, "image/png"),
            ("/b.woff2", false, "font/woff2"),
            ("/b.wasm", false, "application/wasm"),
            ("/.well-known/security", true, "application/octet-stream"),
            ("/a.b/c", true, "application/octet-stream"),
            ("/x.unheard-of", true, "application/octet-stream"),
        ];
        for (path, utf8, expected) in cases {
            assert_eq!(content_type(path, utf8), expected, "{path}");
        }
    }

    #[test]
    fn only_what_can_shrink_is_compressed() {
        for path in [
            "/a.html",
            "/a.js",
            "/a.css",
            "/a.json",
            "/a.svg",
            "/a.wasm",
            "/a.ttf",
            "/a.xml",
            "/a.webmanifest",
            "/a.txt",
        ] {
            assert!(is_compressible(path, 256), "{path}");
            assert!(!is_compressible(path, 255), "{path}");
        }
        for path in ["/a.png", "/a.jpg", "/a.woff2", "/a.mp4", "/a.zip", "/a.gz", "/a.br", "/a", "/a.pdf"] {
            assert!(!is_compressible(path, 1 << 20), "{path}");
        }
    }

    #[test]
    fn documents_are_html_and_xhtml() {
        assert!(is_html("/a.html") && takes_tags("/a.html"));
        assert!(is_html("/a.xhtml") && !takes_tags("/a.xhtml"));
        assert!(!is_html("/a.js") && !takes_tags("/a.svg"));
    }
}
