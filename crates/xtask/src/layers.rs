//! The arrows between our crates, held to the block in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Outcome, metadata};

pub(crate) fn check() -> Outcome {
    let document = std::fs::read_to_string(crate::root().join("ARCHITECTURE.md"))
        .map_err(|e| format!("reading ARCHITECTURE.md: {e}"))?;
    let allowed = allowed(&document)?;
    let mut wrong = Vec::new();
    let metadata = metadata::read()?;
    let mut seen = BTreeSet::new();
    for package in metadata.packages.iter().filter(|p| metadata.workspace_members.contains(&p.id)) {
        let Some(name) = package.name.strip_prefix("cutover-") else {
            wrong.push(format!("{}: every crate is named cutover-<folder>", package.name));
            continue;
        };
        seen.insert(name.to_owned());
        let Some(targets) = allowed.get(name) else {
            wrong.push(format!("{name}: not listed in ARCHITECTURE.md"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(to) = dependency.name.strip_prefix("cutover-") else { continue };
            let development = dependency.kind.as_deref() == Some("dev");
            if !(targets.contains(to) || development && to == "testkit") {
                wrong.push(format!("{name} -> {to}: this arrow is not in ARCHITECTURE.md"));
            }
        }
    }
    for name in allowed.keys().filter(|name| !seen.contains(*name)) {
        wrong.push(format!("{name}: listed in ARCHITECTURE.md, but there is no such crate"));
    }
    if wrong.is_empty() {
        println!("layers: {} crates, every arrow is listed", seen.len());
        return Ok(());
    }
    Err(format!("layers:\n  {}", wrong.join("\n  ")))
}

/// Reads the ```` ```layers ```` block: `name -> name name`.
fn allowed(document: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let block = document
        .split("```layers\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .ok_or("ARCHITECTURE.md has no ```layers block")?;
    block
        .lines()
        .map(|line| {
            let (name, targets) =
                line.split_once("->").ok_or_else(|| format!("layers: cannot read `{line}`"))?;
            Ok((name.trim().to_owned(), targets.split_whitespace().map(str::to_owned).collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_names_and_targets() {
        let allowed = super::allowed("x\n```layers\na ->\nb -> a c\n```\n").unwrap();
        assert!(allowed["a"].is_empty());
        assert!(allowed["b"].contains("c") && allowed["b"].len() == 2);
    }

    #[test]
    fn a_document_without_the_block_is_an_error() {
        assert!(super::allowed("nothing here").is_err());
    }
}
