//! Licences, double versions and forbidden dependants, held to deny.toml.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Outcome, metadata};

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
    #[serde(default)]
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

#[derive(Deserialize)]
struct Skip {
    name: String,
}

pub(crate) fn check() -> Outcome {
    let path = crate::root().join("deny.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("reading {}: {e}", path.display()))?;
    let rules: Rules = toml::from_str(&text).map_err(|e| format!("reading deny.toml: {e}"))?;
    let metadata = metadata::read()?;
    let shipped = metadata.shipped();
    let mut wrong = Vec::new();

    // Whoever builds or tests it gets the rest as well.
    for package in &metadata.packages {
        match &package.license {
            Some(expression) if permitted(expression, &rules.licenses.allow) => {}
            Some(expression) => {
                wrong.push(format!("{}: licence `{expression}` is not accepted", package.name))
            }
            None => wrong.push(format!("{}: no licence stated", package.name)),
        }
    }

    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &shipped {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    for (name, versions) in &versions {
        let skipped = rules.bans.skip.iter().any(|skip| skip.name == *name);
        if versions.len() > 1 && !skipped {
            wrong.push(format!("{name}: double versions {versions:?}"));
        } else if versions.len() == 1 && skipped {
            wrong.push(format!("{name}: listed in bans.skip, but there is one version only: take it out"));
        }
    }

    for ban in &rules.bans.deny {
        for package in metadata.packages.iter().filter(|p| shipped.iter().any(|s| s.id == p.id)) {
            let depends =
                package.dependencies.iter().any(|d| d.name == ban.name && d.kind.as_deref() != Some("dev"));
            let resolved = shipped.iter().any(|s| s.name == ban.name);
            if depends && resolved && !ban.wrappers.contains(&package.name) {
                wrong.push(format!("{} depends on {}: {}", package.name, ban.name, ban.reason));
            }
        }
    }

    if wrong.is_empty() {
        println!(
            "dependencies: licences of {} packages and versions of the {} that are shipped are as deny.toml says",
            metadata.packages.len(),
            shipped.len()
        );
        return Ok(());
    }
    Err(format!("dependencies:\n  {}", wrong.join("\n  ")))
}

/// True where the SPDX expression can be satisfied by accepted licences. Knows `AND`, `OR`, `WITH`, brackets and the old
/// slash for `OR`.
fn permitted(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = any_of(&tokens, &mut at, allow);
    value && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut value = all_of(tokens, at, allow);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        value |= all_of(tokens, at, allow);
    }
    value
}

fn all_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut value = one(tokens, at, allow);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        value &= one(tokens, at, allow);
    }
    value
}

fn one(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let value = any_of(tokens, at, allow);
        *at += 1;
        return value;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allow.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        let allow = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND ISC", true),
            ("(GPL-2.0 OR GPL-3.0) AND ISC", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("Apache-2.0", false),
            ("", false),
        ] {
            assert_eq!(permitted(expression, &allow), expected, "{expression}");
        }
    }
}
