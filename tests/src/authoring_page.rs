//! The generated parts of `guest-sdk/AUTHORING.md`: the tables, as the
//! program prints them, and the worked examples, as they are compiled and tested.

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The page with each generated part written anew. A part stands between
/// `<!-- begin TABLE -->` or `<!-- begin file PATH -->` and the next
/// `<!-- end ... -->`; `table` gives a table by its name.
///
/// # Panics
/// When a part has no end, or names a file that does not exist.
pub fn regenerated(page: &str, table: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        let part = line.strip_prefix("<!-- begin ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(part) = part else { continue };
        match part.strip_prefix("file ") {
            Some(path) => text.push_str(&fenced(path)),
            None => text.push_str(&table(part)),
        }
        let end = lines.by_ref().find(|line| line.starts_with("<!-- end"));
        text.push_str(end.unwrap_or_else(|| panic!("{part}: no end")));
        text.push('\n');
    }
    text
}

fn fenced(path: &str) -> String {
    let content = std::fs::read_to_string(workspace().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let language = match path.rsplit('.').next() {
        Some("rs") => "rust",
        Some("py") => "python",
        Some(other) => other,
        None => "",
    };
    format!("```{language}\n{}\n```\n", content.trim_end())
}
