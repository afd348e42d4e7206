//! Every error code in the sources has a page, and every page a code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cutover_engine::codes::{all, explain_error};

/// Codes that tests of the form of errors make up.
const EXAMPLES: [&str; 2] = ["CUT0001", "CUT9999"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Adds the codes that sources below a folder name in quotes, with a file that names each.
fn used(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            used(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for rest in text.split("\"CUT").skip(1) {
                let Some((digits, _)) = rest.split_once('"') else { continue };
                if digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) {
                    found.entry(format!("CUT{digits}")).or_insert_with(|| path.clone());
                }
            }
        }
    }
}

#[test]
fn every_code_in_use_has_a_page_and_every_page_is_in_use() {
    let mut found = BTreeMap::new();
    for krate in fs::read_dir(root().join("crates")).unwrap() {
        let sources = krate.unwrap().path().join("src");
        if sources.is_dir() {
            used(&sources, &mut found);
        }
    }
    found.retain(|code, _| !EXAMPLES.contains(&code.as_str()));
    assert!(found.len() > 50, "the sources were walked");
    let listed: BTreeSet<String> = all().map(|code| code.code.to_owned()).collect();
    let missing: Vec<_> = found.iter().filter(|(code, _)| !listed.contains(*code)).collect();
    assert!(missing.is_empty(), "write docs/errors/CODE.md and list it in codes.rs: {missing:#?}");
    let unused: Vec<_> = listed.iter().filter(|code| !found.contains_key(*code)).collect();
    assert!(unused.is_empty(), "pages that no source uses: {unused:?}");
    let files: BTreeSet<String> = fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".md").expect("only pages").to_owned())
        .collect();
    assert_eq!(files, listed, "docs/errors/ and codes.rs list the same");
}

#[test]
fn pages_have_one_form() {
    let mut last = "";
    for code in all() {
        assert!(last < code.code, "{} is out of order", code.code);
        last = code.code;
        let page = fs::read_to_string(root().join(format!("docs/errors/{}.md", code.code))).unwrap();
        assert!(page.starts_with(&format!("# {}: {}\n\n", code.code, code.title)), "{}", code.code);
        assert!(code.text.len() > 40 && page.ends_with('\n'), "{} says too little", code.code);
        assert!(page.lines().all(|line| line.chars().count() <= 120), "{} has long lines", code.code);
    }
}

#[test]
fn codes_are_explained_however_they_are_typed() {
    assert_eq!(explain_error(" cut0102 ").unwrap().title, "unknown key");
    assert_eq!(explain_error("CUT01"), None);
    assert_eq!(explain_error(""), None);
}
