//! The text of a new `cutover.toml`.

use super::Project;

/// Writes the description of a project; every comment says what the line below does and what else it can be.
pub(super) fn text(project: &Project, host: &str) -> String {
    let mut text = format!(
        "# What is released together, under one host. `cutover up` serves it; `cutover deploy` releases it.\n\
         app  = {}\n\
         host = {}\n\
         keep = 3                  # releases kept at once: what a rollback can go back to\n\n",
        quoted(&project.app),
        quoted(host),
    );
    let build = match (&project.build, project.site_found) {
        (Some(build), false) => format!("   # made by: {build}"),
        (None, false) => "   # not there yet".to_owned(),
        (_, true) => String::new(),
    };
    text.push_str(&format!("[site]\ndir = {}{build}\n", quoted(&project.site)));
    if project.index {
        text.push_str("fallback = \"index.html\"   # answers navigations to paths without a file\n");
    } else {
        text.push_str("# fallback = \"index.html\"   # answers navigations to paths without a file\n");
    }
    text.push_str(
        "# Files whose name changes with their content: cached for good, shared by all releases.\n",
    );
    if project.fingerprinted.is_empty() {
        text.push_str("# fingerprinted = [\"assets/**\"]\n");
    } else {
        let globs: Vec<String> = project.fingerprinted.iter().map(|glob| quoted(glob)).collect();
        text.push_str(&format!("fingerprinted = [{}]\n", globs.join(", ")));
    }
    let run = project.start.as_deref().unwrap_or("node server.js");
    text.push_str(&format!(
        "\n# A service that belongs to the app. Its folder is copied into each release and runs there; it must listen on\n\
         # 127.0.0.1:$PORT. Each release has its own process, and visitors of a release reach only that one.\n\
         # [[service]]\n\
         # name   = \"api\"\n\
         # routes = [\"/api/*\"]\n\
         # dir    = \"api\"\n\
         # run    = {}\n\
         # health = \"/healthz\"\n",
        quoted(run)
    ));
    text.push_str(
        "\n[edge]\n\
         listen  = \"127.0.0.1:8080\"   # where visitors come in\n\
         control = \"127.0.0.1:9400\"   # where commands come in; keep it on this machine\n\
         \n# What visitors read when no release can serve.\n\
         [outage]\n\
         message = \"We are back soon.\"\n\
         \n# Checked on a new release before visitors get it; it must pass.\n",
    );
    match &project.e2e {
        Some(e2e) => text.push_str(&format!(
            "# The command finds the release at CUTOVER_URL, with the cookie in CUTOVER_PREVIEW_COOKIE.\n\
             # [[gate]]\n# name = \"e2e\"\n# run = {}\n",
            quoted(e2e)
        )),
        None => text.push_str("# [[gate]]\n# name = \"home\"\n# http = { path = \"/\", status = 200 }\n"),
    }
    text
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_control_characters_cannot_end_a_string() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000A""#);
    }
}
