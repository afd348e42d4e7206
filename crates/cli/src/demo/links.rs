//! What a document or a module makes a browser load: just enough reading for pages whose form is known.

/// What a text refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Styles, scripts and icons a document names, and what a module imports before it runs.
    pub(super) now: Vec<String>,
    /// What a module imports when it comes to it.
    pub(super) later: Vec<String>,
}

/// The files of the same origin that a document loads; navigation targets are not among them.
pub(super) fn of_document(html: &str, base: &str) -> Links {
    let mut links = Links::default();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = if tag.starts_with("script") {
            "src="
        } else if tag.starts_with("link") {
            "href="
        } else {
            continue;
        };
        let Some((_, rest)) = tag.split_once(name) else { continue };
        add(&mut links.now, rest, base);
    }
    links
}

/// The modules a module imports.
pub(super) fn of_module(script: &str, base: &str) -> Links {
    let mut links = Links::default();
    // A comment may speak of imports; what it says is not loaded.
    let code: String =
        script.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for rest in code.split("import(").skip(1) {
        add(&mut links.later, rest.trim_start(), base);
    }
    for statement in code.split(';').map(str::trim_start) {
        let Some(rest) = statement.strip_prefix("import").or_else(|| statement.strip_prefix("export")) else {
            continue;
        };
        if rest.starts_with('(') {
            continue;
        }
        if let Some((_, from)) = rest.split_once("from") {
            add(&mut links.now, from.trim_start(), base);
        } else if statement.starts_with("import") {
            add(&mut links.now, rest.trim_start(), base);
        }
    }
    links
}

/// The release a document was marked with when it was staged.
pub(super) fn marker(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once("name=\"cutover-release\"")?;
    let (_, rest) = rest.split('>').next()?.split_once("content=\"")?;
    rest.split('"').next()
}

/// Adds the quoted address `text` begins with, unless it leads elsewhere.
fn add(to: &mut Vec<String>, text: &str, base: &str) {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else { return };
    let Some(address) = text[1..].split(quote).next() else { return };
    if address.is_empty() || address.contains("//") || address.contains(':') || address.contains("${") {
        return;
    }
    let path = resolve(base, address);
    if !to.contains(&path) {
        to.push(path);
    }
}

/// Resolves a relative address against the path of the file it stands in.
fn resolve(base: &str, address: &str) -> String {
    let mut parts: Vec<&str> = if address.starts_with('/') {
        Vec::new()
    } else {
        let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
        folder.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in address.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_scripts_styles_and_icons() {
        let html = r#"<!doctype html><meta name="cutover-release" content="abc12345"><link rel="icon" href="./i.svg">
            <link href="https://elsewhere.example/x.css"><script type="module" src="/assets/main-1a.js"></script>
            <a href="/cart">Basket</a>"#;
        assert_eq!(of_document(html, "/product/mug").now, ["/product/i.svg", "/assets/main-1a.js"]);
        assert_eq!(marker(html), Some("abc12345"));
        assert_eq!(marker("<p>"), None);
    }

    #[test]
    fn modules_load_some_now_and_some_later() {
        let script = "// import './no.js';\nimport { a } from './a.js';import \"../b.js\";\n\
                      export { c } from '/c.js';\nconst later = () => import('./routes/cart-9f.js');\n\
                      import(`./${name}.js`);";
        let links = of_module(script, "/assets/x/main.js");
        assert_eq!(links.now, ["/assets/x/a.js", "/assets/b.js", "/c.js"]);
        assert_eq!(links.later, ["/assets/x/routes/cart-9f.js"]);
    }
}
