//! The old plugin folder: listed and read through handles and bounded. Links,
//! pipes, long files and odd names are answers, never followed or waited for.
//! Nothing is ever written here.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::plain_file;
use crate::strict_toml::{MAX_FILE_BYTES, Problem};

/// More names than this in one folder are an accident or an attack.
const MAX_NAMES: usize = 1000;
/// As long as a prompt may be.
const MAX_PROMPT_BYTES: usize = 256 * 1024;

/// What a plugin's configuration is called, switched on and off.
const CONFIGURATION: [&str; 2] = ["plugin.toml", "plugin.toml.disabled"];

pub(super) struct OldFolder {
    path: PathBuf,
    dir: Dir,
}

/// The names in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// In order.
    pub(super) good: Vec<String>,
    /// Names that are no UTF-8, for people.
    pub(super) odd: Vec<String>,
}

/// A file of one of the sub-folders.
pub(super) struct OldFile {
    /// The file's name, `mail-triage.toml`.
    pub(super) name: String,
    pub(super) content: Result<String, Problem>,
}

impl OldFolder {
    /// Opens a folder that a user named.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { path: path.to_owned(), dir })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything in it can be imported.
    pub(super) fn is_plugin(&self) -> bool {
        let is_there = |name: &str| self.dir.symlink_metadata(name).is_ok();
        CONFIGURATION.into_iter().any(is_there) || is_there("recipes") || is_there("thrall.db")
    }

    /// The configuration that is there, by name. Of both, the one that is on.
    pub(super) fn configuration(&self) -> Option<(&'static str, Result<String, Problem>)> {
        CONFIGURATION
            .into_iter()
            .find(|name| self.dir.symlink_metadata(name).is_ok())
            .map(|name| (name, text(&self.dir, name, name, MAX_FILE_BYTES)))
    }

    /// Every name at the top of the folder.
    ///
    /// # Errors
    /// It cannot be listed, or holds too much.
    pub(super) fn names(&self) -> io::Result<Names> {
        names(&self.dir)
    }

    /// Whether a name is a folder, and no link to one.
    pub(super) fn is_folder(&self, name: &str) -> bool {
        self.dir.symlink_metadata(name).is_ok_and(|found| found.is_dir())
    }

    pub(super) fn recipes(&self) -> Result<Option<Found>, Problem> {
        self.files("recipes", MAX_FILE_BYTES)
    }

    pub(super) fn prompts(&self) -> Result<Option<Found>, Problem> {
        self.files("prompts", MAX_PROMPT_BYTES)
    }

    /// The TOML files of a sub-folder. `None` if there is no such folder.
    fn files(&self, folder: &str, limit: usize) -> Result<Option<Found>, Problem> {
        let refuse =
            |error: io::Error| Problem::in_file(folder, format!("cannot be read: {error}"));
        let dir = match plain_file::open_dir(&self.dir, folder) {
            // Once more, as a handle that can be listed.
            Ok(dir) => dir.open_dir(".").map_err(refuse)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error)),
        };
        let Names { good, odd } = names(&dir).map_err(refuse)?;
        let (toml, other): (Vec<String>, Vec<String>) =
            good.into_iter().partition(|name| name.ends_with(".toml"));
        let files = toml
            .into_iter()
            .map(|name| {
                let shown = format!("{folder}/{}", name.escape_debug());
                OldFile { content: text(&dir, &shown, &name, limit), name }
            })
            .collect();
        Ok(Some(Found { files, other, odd }))
    }
}

/// What a sub-folder holds.
pub(super) struct Found {
    /// `*.toml`, by name.
    pub(super) files: Vec<OldFile>,
    /// Names that the earlier thrall did not read either.
    pub(super) other: Vec<String>,
    /// Names that are no UTF-8.
    pub(super) odd: Vec<String>,
}

fn names(dir: &Dir) -> io::Result<Names> {
    let mut found = Names::default();
    for (count, entry) in dir.entries()?.enumerate() {
        if count >= MAX_NAMES {
            return Err(io::Error::other(format!(
                "it holds more than {MAX_NAMES} files, which no plugin folder does"
            )));
        }
        let name = entry?.file_name();
        match name.to_str() {
            Some(name) => found.good.push(name.to_owned()),
            None => found.odd.push(name.to_string_lossy().into_owned()),
        }
    }
    found.good.sort_unstable();
    found.odd.sort_unstable();
    Ok(found)
}

/// A plain file of text. `shown` is how it is called in messages.
fn text(dir: &Dir, shown: &str, name: &str, limit: usize) -> Result<String, Problem> {
    let bytes = plain_file::read(dir, name, limit)
        .map_err(|error| Problem::in_file(shown, format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
        let what = format!("not valid UTF-8 at byte {at}: save the file as UTF-8");
        Problem::at(shown, &before, at, what)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_plain_short_text_is_an_answer() {
        let temp = tempfile::tempdir().unwrap();
        let recipes = temp.path().join("recipes");
        fs::create_dir(&recipes).unwrap();
        fs::write(temp.path().join("secret"), "SECRET").unwrap();
        fs::write(recipes.join("good.toml"), "x = 1").unwrap();
        fs::write(recipes.join("long.toml"), "#".repeat(MAX_FILE_BYTES + 1)).unwrap();
        fs::write(recipes.join("latin.toml"), b"x = 1\n# caf\xe9").unwrap();
        fs::write(recipes.join("notes.toml.demo"), "").unwrap();
        fs::write(recipes.join(std::ffi::OsStr::from_bytes(b"odd\xff.toml")), "").unwrap();
        symlink("../secret", recipes.join("link.toml")).unwrap();
        symlink("recipes", temp.path().join("prompts")).unwrap();
        let folder = OldFolder::open(temp.path()).unwrap();
        assert!(folder.is_plugin() && folder.configuration().is_none());
        let found = folder.recipes().unwrap().unwrap();
        assert_eq!((found.other, found.odd.len()), (vec!["notes.toml.demo".to_owned()], 1));
        let said = |name: &str| match &found.files.iter().find(|f| f.name == name).unwrap().content
        {
            Ok(text) => text.clone(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(said("good.toml"), "x = 1");
        assert!(said("long.toml").contains("more than 64 KiB"), "{}", said("long.toml"));
        assert!(said("latin.toml").starts_with("recipes/latin.toml:2:6: not valid UTF-8"));
        assert!(said("link.toml").contains("not a plain file but a link"));
        let link = folder.prompts().err().unwrap().to_string();
        assert!(link.contains("prompts:1:1: cannot be read: is a link"), "{link}");
    }

    #[test]
    fn a_folder_with_thousands_of_files_is_not_listed() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("recipes")).unwrap();
        for number in 0..=MAX_NAMES {
            fs::write(temp.path().join(format!("recipes/r{number}.toml")), "").unwrap();
        }
        let folder = OldFolder::open(temp.path()).unwrap();
        assert!(folder.recipes().err().unwrap().to_string().contains("more than 1000 files"));
    }
}
