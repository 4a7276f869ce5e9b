//! Reads a folder of small files that somebody else may write: plain files
//! only, by handle, bounded. No link, pipe or slash leads anywhere. The only
//! file of `recipes/` with I/O.

use std::collections::BTreeMap;
use std::io::{self, Read};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use crate::ids::is_valid_name;
use crate::strict_toml::{MAX_FILE_BYTES, Problem};

/// The largest component that is read, in bytes.
pub const MAX_COMPONENT_BYTES: usize = crate::stage::StageLimits::MAX_COMPONENT_BYTES;
/// More files than this in one folder are an accident or an attack.
const MAX_FILES: usize = 1000;

/// What lies in the drop-in folder. A file that cannot be used stands there
/// with its problem, so that it is reported and not overlooked.
#[derive(Debug, Default)]
pub struct Folder {
    /// `NAME.toml` by NAME.
    pub toml: BTreeMap<String, Result<Vec<u8>, Problem>>,
    /// `NAME.wasm` by its whole file name, as recipes name it.
    pub wasm: BTreeMap<String, Result<Vec<u8>, Problem>>,
}

/// Reads every `.toml` and `.wasm` file of a folder. Others are left alone.
/// `label` is how people call the folder: `recipes`, `grants`.
///
/// # Errors
/// When the folder itself cannot be listed.
pub fn read(dir: &Dir, label: &str) -> io::Result<Folder> {
    let mut names: Vec<String> = Vec::new();
    for entry in dir.entries()? {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| ending(name).is_some()).map(str::to_owned));
    }
    // The first by name, so that it is the same ones each time. A flood of
    // files must neither stop a start nor keep a revoked grant alive.
    names.sort_unstable();
    if names.len() > MAX_FILES {
        tracing::warn!(
            "{label}/ holds {} files; those after the first {MAX_FILES} by name are left out",
            names.len()
        );
        names.truncate(MAX_FILES);
    }
    let mut folder = Folder::default();
    for name in names {
        match ending(&name) {
            Some((stem, "toml")) => {
                folder
                    .toml
                    .insert(stem.to_owned(), read_file(dir, label, &name, stem, MAX_FILE_BYTES));
            }
            Some((stem, _)) => {
                let content = read_file(dir, label, &name, stem, MAX_COMPONENT_BYTES);
                folder.wasm.insert(name.clone(), content);
            }
            None => {}
        }
    }
    Ok(folder)
}

/// Name and ending of a file that is read here.
fn ending(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "toml" | "wasm"))
}

fn read_file(
    dir: &Dir,
    label: &str,
    name: &str,
    stem: &str,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    // The name is hostile as well: it is shown escaped, never raw.
    let shown = format!("{label}/{}", name.escape_debug());
    let refuse = |what: String| Problem::in_file(&shown, what);
    if !is_valid_name(stem) {
        return Err(refuse(
            "the name must be at most 64 of a-z, 0-9, - and _, a letter or digit first: rename the file".to_owned(),
        ));
    }
    let kind =
        dir.symlink_metadata(name).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if !kind.is_file() {
        return Err(refuse("not a plain file: links, folders and pipes are refused".to_owned()));
    }
    bounded(dir, name, limit).map_err(|error| refuse(format!("cannot be read: {error}")))
}

/// Reads a plain file of at most `limit` bytes.
fn bounded(dir: &Dir, name: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    // The file may have been swapped for a pipe since it was looked at; opening
    // one would wait for ever.
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = dir.open_with(name, &options)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut content = Vec::new();
    let limit_u64 = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(limit_u64.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(io::Error::other(format!(
            "more than {}, the limit for such a file",
            size(limit)
        )));
    }
    Ok(content)
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    if bytes >= MIB { format!("{} MiB", bytes / MIB) } else { format!("{} KiB", bytes / 1024) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;

    use super::*;

    fn folder(fill: impl Fn(&std::path::Path)) -> Folder {
        let temp = tempfile::tempdir().unwrap();
        fill(temp.path());
        read(&Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap(), "recipes").unwrap()
    }

    #[test]
    fn plain_files_are_read_by_kind_and_others_left_alone() {
        let folder = folder(|at| {
            fs::write(at.join("a.toml"), "x = 1").unwrap();
            fs::write(at.join("b.wasm"), b"\0asm").unwrap();
            fs::write(at.join(".reload"), "").unwrap();
            fs::write(at.join("a.toml.disabled"), "").unwrap();
            fs::write(at.join("notes.md"), "").unwrap();
        });
        assert_eq!(folder.toml.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(folder.toml["a"].as_deref(), Ok(&b"x = 1"[..]));
        assert_eq!(folder.wasm.keys().collect::<Vec<_>>(), ["b.wasm"]);
    }

    #[test]
    fn links_pipes_folders_and_odd_names_are_refused_by_name() {
        let folder = folder(|at| {
            fs::write(at.join("good.toml"), "").unwrap();
            symlink("good.toml", at.join("inside.toml")).unwrap();
            symlink("/etc/hostname", at.join("outside.toml")).unwrap();
            fs::create_dir(at.join("deep.toml")).unwrap();
            fs::write(at.join("Evil\u{1b}[2J.toml"), "").unwrap();
            let pipe = at.join("pipe.toml");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &pipe,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                0,
            )
            .unwrap();
        });
        assert!(folder.toml["good"].is_ok());
        for refused in ["inside", "outside", "deep", "pipe"] {
            let problem = folder.toml[refused].as_ref().unwrap_err().to_string();
            assert!(
                problem.starts_with(&format!("recipes/{refused}.toml:1:1: not a plain file")),
                "{problem}"
            );
        }
        let odd = folder.toml["Evil\u{1b}[2J"].as_ref().unwrap_err().to_string();
        assert!(odd.contains("\\u{1b}") && !odd.contains('\u{1b}'), "{odd}");
    }

    #[test]
    fn files_beyond_their_limit_are_refused() {
        let folder = folder(|at| {
            fs::write(at.join("big.toml"), "#".repeat(MAX_FILE_BYTES + 1)).unwrap();
            fs::write(at.join("fits.toml"), "#".repeat(MAX_FILE_BYTES)).unwrap();
            let wasm = fs::File::create(at.join("big.wasm")).unwrap();
            wasm.set_len(u64::try_from(MAX_COMPONENT_BYTES).unwrap() + 1).unwrap();
        });
        assert!(folder.toml["big"].as_ref().unwrap_err().to_string().contains("more than 64 KiB"));
        assert!(folder.toml["fits"].is_ok());
        assert!(
            folder.wasm["big.wasm"].as_ref().unwrap_err().to_string().contains("more than 32 MiB")
        );
    }
}
