//! Writing and removing `grants/NAME.toml`, for the operator's commands. Whole
//! or not at all: a service never reads half a grant.

use anyhow::{Context as _, bail};

use crate::config::set_key::set_key;
use crate::grants::{self, Grant};
use crate::home::Home;
use crate::ids::{Digest, is_valid_name};
use crate::plain_file;
use crate::recipes::Mode;
use crate::strict_toml;

/// Writes a grant in place of the one that is there.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(home: &Home, grant: &Grant) -> anyhow::Result<()> {
    write_text(home, &grant.recipe, &grants::to_toml(grant))
}

/// Binds the grant that lies there to a revision, and leaves every other line,
/// comments included, as it is.
///
/// # Errors
/// When the file cannot be read or written, or does not read as a grant of that
/// revision afterwards.
pub fn bind(home: &Home, name: &str, binding: Digest) -> anyhow::Result<Grant> {
    let present = home.dir(&home.grants())?.read_to_string(format!("{name}.toml"))?;
    let text = with_binding(&present, binding);
    let grant = grants::parse(name, &text)
        .map_err(|problems| anyhow::anyhow!("{}", strict_toml::lines(&problems)))?;
    write_text(home, name, &text)?;
    Ok(grant)
}

/// Sets how far the grant that lies there lets its recipe act, and leaves
/// every other line as it is.
///
/// # Errors
/// As [`bind`].
pub fn set_mode(home: &Home, name: &str, mode: Mode) -> anyhow::Result<()> {
    let present = home.dir(&home.grants())?.read_to_string(format!("{name}.toml"))?;
    let Some(text) = set_key(&present, "", "mode", &format!("{:?}", mode.as_str())) else {
        bail!("cannot set the mode in grants/{name}.toml: write mode = {:?} there", mode.as_str());
    };
    grants::parse(name, &text)
        .map_err(|problems| anyhow::anyhow!("{}", strict_toml::lines(&problems)))?;
    write_text(home, name, &text)
}

/// The same text with its `recipe` line set.
fn with_binding(text: &str, binding: Digest) -> String {
    let line = format!("recipe = \"sha256:{binding}\"");
    let is_key = |line: &str| {
        line.trim_start()
            .strip_prefix("recipe")
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let top_ends = text.lines().position(|line| line.trim_start().starts_with('['));
    let in_top = |index: usize| top_ends.is_none_or(|end| index < end);
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().enumerate().position(|(index, line)| in_top(index) && is_key(line)) {
        Some(index) => {
            if let Some(old) = lines.get_mut(index) {
                *old = &line;
            }
        }
        None => {
            let after_comments = lines.iter().take_while(|line| line.starts_with('#')).count();
            lines.insert(after_comments, &line);
        }
    }
    lines.join("\n") + "\n"
}

fn write_text(home: &Home, name: &str, text: &str) -> anyhow::Result<()> {
    if !is_valid_name(name) {
        bail!("{name:?} cannot name a recipe");
    }
    let path = home.grants();
    let dir = home.dir(&path)?;
    // Not writable by a group, whatever the umask: such a file is no grant.
    plain_file::replace_as(&dir, &format!("{name}.toml"), text.as_bytes(), 0o644).with_context(
        || {
            format!(
                "cannot write {}: only the operator may",
                path.join(format!("{name}.toml")).display()
            )
        },
    )
}

/// Removes a grant. False if there was none.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(home: &Home, name: &str) -> anyhow::Result<bool> {
    let path = home.grants();
    match home.dir(&path)?.remove_file(format!("{name}.toml")) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| {
            format!("cannot remove {}", path.join(format!("{name}.toml")).display())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binding_changes_one_line_and_no_other() {
        let digest = Digest::of(b"x");
        let line = format!("recipe = \"sha256:{digest}\"");
        let old = "# why\nrecipe = \"sha256:00\"   # then\nmode = \"manual\"\n[operations]\n";
        assert_eq!(
            with_binding(old, digest),
            format!("# why\n{line}\nmode = \"manual\"\n[operations]\n")
        );
        assert_eq!(
            with_binding("# a\nmode = \"manual\"\n", digest),
            format!("# a\n{line}\nmode = \"manual\"\n")
        );
        assert_eq!(with_binding("", digest), format!("{line}\n"));
        let inside = with_binding("[budget]\nrecipe = 1\n", digest);
        assert!(inside.starts_with(&line), "{inside}");
    }
}
