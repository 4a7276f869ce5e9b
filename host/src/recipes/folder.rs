//! Reads a folder of small files that somebody else may write: plain files
//! only, by handle, bounded. No link, pipe or slash leads anywhere. The only
//! file of `recipes/` with I/O.

use std::collections::BTreeMap;
use std::io;

use cap_std::fs::{Dir, Metadata as DirMetadata, MetadataExt as _};

use crate::clock::TimestampMs;
use crate::ids::is_valid_name;
use crate::plain_file;
use crate::strict_toml::{MAX_FILE_BYTES, Problem};

/// The largest component that is read, in bytes.
pub const MAX_COMPONENT_BYTES: usize = crate::stage::StageLimits::MAX_COMPONENT_BYTES;
/// All components of a folder together: they are in memory at once while the
/// folder is read. Those after it by name are refused.
const MAX_ALL_COMPONENTS_BYTES: usize = 256 * 1024 * 1024;
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
    /// When each `NAME.toml` that could be read was written, by NAME.
    pub written: BTreeMap<String, TimestampMs>,
}

/// Who may own a file that is taken at its word.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    pub users: Vec<u32>,
    /// Groups that may write such a file as well.
    pub groups: Vec<u32>,
}

impl Owners {
    /// Root, and the user that this process runs as.
    pub fn of_this_process() -> Self {
        Self { users: vec![0, rustix::process::geteuid().as_raw()], groups: Vec::new() }
    }

    /// Why an open file is not taken, if so.
    fn refusal_of(&self, file: &std::fs::Metadata) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        self.refusal(file.uid(), file.gid(), file.mode())
    }

    fn refusal(&self, user: u32, group: u32, mode: u32) -> Option<String> {
        if !self.users.contains(&user) {
            return Some(format!("it belongs to user {user}, who is no operator: chown it to one"));
        }
        if mode & 0o002 != 0 {
            return Some("everybody may write it: chmod o-w".to_owned());
        }
        if mode & 0o020 != 0 && !self.groups.contains(&group) {
            return Some(format!(
                "group {group} may write it, which is no group of operators: chmod g-w"
            ));
        }
        None
    }
}

/// Reads a folder whose files are only taken from certain owners, and only if
/// nobody else may write them or the folder. What is not taken stands there
/// with its problem.
///
/// # Errors
/// When the folder itself cannot be listed.
pub fn read_owned(dir: &Dir, label: &str, owners: &Owners) -> io::Result<Folder> {
    let mut folder = read_checked(dir, label, Some(owners))?;
    let found: DirMetadata = dir.dir_metadata()?;
    if let Some(what) = owners.refusal(found.uid(), found.gid(), found.mode()) {
        for (name, content) in &mut folder.toml {
            let shown = format!("{label}/{}.toml", name.escape_debug());
            *content = Err(Problem::in_file(&shown, format!("of the folder {label}/: {what}")));
        }
    }
    Ok(folder)
}

/// Reads every `.toml` and `.wasm` file of a folder. Others are left alone.
/// `label` is how people call the folder: `recipes`, `grants`.
///
/// # Errors
/// When the folder itself cannot be listed.
pub fn read(dir: &Dir, label: &str) -> io::Result<Folder> {
    read_checked(dir, label, None)
}

fn read_checked(dir: &Dir, label: &str, owners: Option<&Owners>) -> io::Result<Folder> {
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
    let mut left = MAX_ALL_COMPONENTS_BYTES;
    for name in names {
        match ending(&name) {
            Some((stem, "toml")) => {
                let millis = dir.symlink_metadata(&name).map_or(0, |found| {
                    let seconds = u64::try_from(found.mtime()).unwrap_or(0);
                    let nanos = u64::try_from(found.mtime_nsec()).unwrap_or(0);
                    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
                });
                folder.written.insert(stem.to_owned(), TimestampMs(millis));
                folder
                    .toml
                    .insert(stem.to_owned(), read_file(dir, label, &name, MAX_FILE_BYTES, owners));
            }
            Some((_, _)) => {
                let content = read_file(dir, label, &name, MAX_COMPONENT_BYTES, owners);
                let content = content.and_then(|bytes| {
                    left = left.checked_sub(bytes.len()).ok_or_else(|| {
                        let what = format!(
                            "{label}/ holds more than {} MiB of components: remove those that no recipe names",
                            MAX_ALL_COMPONENTS_BYTES >> 20
                        );
                        Problem::in_file(&format!("{label}/{}", name.escape_debug()), what)
                    })?;
                    Ok(bytes)
                });
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
    limit: usize,
    owners: Option<&Owners>,
) -> Result<Vec<u8>, Problem> {
    // The name is hostile as well: it is shown escaped, never raw.
    let shown = format!("{label}/{}", name.escape_debug());
    let refuse = |what: String| Problem::in_file(&shown, what);
    if !ending(name).is_some_and(|(stem, _)| is_valid_name(stem)) {
        return Err(refuse(
            "the name must be at most 64 of a-z, 0-9, - and _, a letter or digit first: rename the file".to_owned(),
        ));
    }
    let kind =
        dir.symlink_metadata(name).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if !kind.is_file() {
        return Err(refuse("not a plain file: links, folders and pipes are refused".to_owned()));
    }
    let check = |found: &std::fs::Metadata| owners.and_then(|owners| owners.refusal_of(found));
    plain_file::read_checked(dir, name, limit, check)
        .map_err(|error| refuse(format!("cannot be read: {error}")))
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
    fn components_beyond_the_limit_of_all_together_are_refused() {
        let folder = folder(|at| {
            for number in 0..9 {
                let wasm = fs::File::create(at.join(format!("{number}.wasm"))).unwrap();
                wasm.set_len(u64::try_from(MAX_COMPONENT_BYTES).unwrap()).unwrap();
            }
        });
        assert!(folder.wasm["7.wasm"].is_ok());
        let problem = folder.wasm["8.wasm"].as_ref().unwrap_err().to_string();
        assert!(problem.contains("more than 256 MiB of components"), "{problem}");
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
