//! Source files stay readable: a warning above 400 lines, an error above 800 unless listed here with a reason.

use crate::Outcome;

const WARN: usize = 400;
const FAIL: usize = 800;

/// Files that may be longer, and why.
const LISTED: &[(&str, &str)] = &[];

pub(crate) fn check() -> Outcome {
    let root = crate::root();
    let mut wrong = Vec::new();
    let mut count = 0;
    for folder in ["crates", "examples", "tests", "js"] {
        for entry in walkdir::WalkDir::new(root.join(folder))
            .into_iter()
            .filter_entry(|e| !matches!(e.file_name().to_str(), Some("node_modules" | "target" | "dist")))
            .filter_map(Result::ok)
        {
            let path = entry.path();
            let source = path.extension().and_then(|e| e.to_str());
            if !matches!(source, Some("rs" | "js" | "mjs" | "ts" | "css")) {
                continue;
            }
            let text =
                std::fs::read_to_string(path).map_err(|e| format!("reading {}: {e}", path.display()))?;
            let lines = text.lines().count();
            let shown = path.strip_prefix(&root).unwrap_or(path).display().to_string();
            count += 1;
            if lines > FAIL && !LISTED.iter().any(|(listed, _)| *listed == shown) {
                wrong.push(format!("{shown}: {lines} lines"));
            } else if lines > WARN {
                eprintln!("warning: {shown}: {lines} lines");
            }
        }
    }
    if wrong.is_empty() {
        println!("sizes: {count} files, none above {FAIL} lines");
        return Ok(());
    }
    Err(format!("files above {FAIL} lines, one concept each?\n  {}", wrong.join("\n  ")))
}
