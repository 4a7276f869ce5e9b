//! Plain files in a folder that somebody else may write to as well: opened by
//! handle and by one name, so that no link, pipe or slash leads anywhere, and
//! written whole or not at all. What lies in which folder is the callers'
//! concern.
//!
//! The last name is opened by the kernel with `O_NOFOLLOW`, not looked at first
//! and opened later: what is swapped in between is not followed either.

use std::ffi::OsStr;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{Mode, OFlags};

/// Whether a text names something in a folder, and nothing beyond it.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

fn check_name(name: &str) -> io::Result<()> {
    if is_plain_name(name) {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is no name of a file in this folder"),
        ))
    }
}

/// Opens a plain file for reading. Nothing is followed and nothing waited for.
///
/// # Errors
/// It is not there, it is something else than a plain file, or it may not be
/// read.
pub fn open(dir: &Dir, name: &str) -> io::Result<std::fs::File> {
    check_name(name)?;
    // Looked at first only because opening a device can do something to it.
    let metadata = dir.symlink_metadata(name)?;
    if !metadata.is_file() {
        return Err(not_plain(if metadata.is_symlink() {
            "a link"
        } else if metadata.is_dir() {
            "a folder"
        } else {
            "a pipe, socket or device"
        }));
    }
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(opened) => std::fs::File::from(opened),
        Err(rustix::io::Errno::LOOP) => return Err(not_plain("a link")),
        Err(error) => return Err(error.into()),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_fifo() {
        Err(not_plain("a pipe"))
    } else {
        Err(not_plain("something else"))
    }
}

fn not_plain(what: &str) -> io::Error {
    io::Error::other(format!("not a plain file but {what}"))
}

/// Opens a folder of the host's own for all that is done in it. The handle
/// stays with this folder, whatever its name leads to later.
///
/// # Errors
/// It is not there, cannot be listed, or is a link: where that leads can be
/// changed, and the folder could not.
pub fn open_folder(path: &Path) -> io::Result<Dir> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "names no folder"));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
    // Once more, as a handle that can be listed.
    open_dir(&parent, name)?.open_dir(".")
}

/// A folder that may be entered need not be one that may be listed.
#[cfg(target_os = "linux")]
const ENTER: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const ENTER: OFlags = OFlags::RDONLY;

/// Opens a folder inside a folder, to go on from there; a link to one is
/// refused.
///
/// # Errors
/// It is not there, is no folder, or may not be entered.
pub fn open_dir(dir: &Dir, name: &str) -> io::Result<Dir> {
    check_name(name)?;
    let flags = ENTER | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(opened) => Ok(Dir::from_std_file(std::fs::File::from(opened))),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            let is_link = dir.symlink_metadata(name).is_ok_and(|found| found.is_symlink());
            let what = if is_link { "is a link" } else { "is no folder" };
            Err(io::Error::new(io::ErrorKind::NotADirectory, what))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; or there is more.
pub fn read(dir: &Dir, name: &str, limit: usize) -> io::Result<Vec<u8>> {
    read_checked(dir, name, limit, |_| None)
}

/// As [`read`]; `refusal` looks at the open file, and says why it is not taken.
///
/// # Errors
/// As [`read`], or that reason.
pub fn read_checked(
    dir: &Dir,
    name: &str,
    limit: usize,
    refusal: impl FnOnce(&std::fs::Metadata) -> Option<String>,
) -> io::Result<Vec<u8>> {
    let file = open(dir, name)?;
    // Of the open file: what its name leads to may change meanwhile.
    if let Some(what) = refusal(&file.metadata()?) {
        return Err(io::Error::other(what));
    }
    let mut content = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(one_more).read_to_end(&mut content)?;
    if content.len() > limit {
        let what = format!("more than {}, the limit for such a file", size(limit));
        return Err(io::Error::other(what));
    }
    Ok(content)
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    if bytes >= MIB { format!("{} MiB", bytes / MIB) } else { format!("{} KiB", bytes / 1024) }
}

/// Writes a file that replaces one of the same name; on disk on return. A link
/// or pipe of that name is replaced as well, and what it led to is untouched.
///
/// # Errors
/// It cannot be written; an older file of that name is untouched.
pub fn replace(dir: &Dir, name: &str, content: &[u8]) -> io::Result<()> {
    replace_as(dir, name, content, 0o666)
}

/// As [`replace`], with a mode from which the process's umask is taken.
///
/// # Errors
/// As [`replace`].
pub fn replace_as(dir: &Dir, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    check_name(name)?;
    let unfinished = format!(".{name}.tmp");
    // What a crash left there; a link is removed, not followed.
    match dir.remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_whole(dir, &unfinished, content, mode)
        .and_then(|()| dir.rename(&unfinished, dir, name));
    if written.is_err() {
        // A full disk is not made fuller; the error that matters is the first.
        let _ = dir.remove_file(&unfinished);
    }
    written?;
    // The new name is on disk only when the folder is.
    dir.open(".")?.sync_all()
}

fn write_whole(dir: &Dir, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = dir.open_with(name, &options)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn dir(path: &Path) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    fn folders() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("inside"), temp.path().join("outside"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "SECRET").unwrap();
        (temp, inside, outside)
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (_temp, inside, _) = folders();
        fs::write(inside.join("good"), "ok").unwrap();
        let handle = dir(&inside);
        assert_eq!(read(&handle, "good", 10).unwrap(), b"ok");
        for name in ["", ".", "..", "good/", "/good", "../outside/secret", "./good", "a\0b", "a/b"]
        {
            assert!(read(&handle, name, 10).is_err(), "{name:?}");
            assert!(open_dir(&handle, name).is_err(), "{name:?}");
            assert!(replace(&handle, name, b"x").is_err(), "{name:?}");
        }
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);
    }

    #[test]
    fn links_are_neither_read_nor_entered_nor_written_through() {
        let (_temp, inside, outside) = folders();
        symlink(outside.join("secret"), inside.join("file")).unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("secret"), inside.join(".new.tmp")).unwrap();
        let handle = dir(&inside);
        let refused = read(&handle, "file", 10).unwrap_err().to_string();
        assert_eq!(refused, "not a plain file but a link");
        assert_eq!(open_dir(&handle, "folder").unwrap_err().to_string(), "is a link");
        replace(&handle, "file", b"new").unwrap();
        replace(&handle, "new", b"new").unwrap();
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "SECRET");
        assert_eq!(read(&handle, "file", 10).unwrap(), b"new");
        assert_eq!(read(&handle, "new", 10).unwrap(), b"new");
    }

    #[test]
    fn a_file_swapped_for_a_link_again_and_again_never_gives_what_is_outside() {
        let (_temp, inside, outside) = folders();
        let (name, link, real) = (inside.join("name"), inside.join("link"), inside.join("real"));
        fs::write(&name, "inside").unwrap();
        let handle = dir(&inside);
        let swapping = std::thread::spawn(move || {
            for _ in 0..3_000 {
                symlink(outside.join("secret"), &link).unwrap();
                fs::rename(&link, &name).unwrap();
                fs::write(&real, "inside").unwrap();
                fs::rename(&real, &name).unwrap();
            }
        });
        let mut read_well = 0;
        while !swapping.is_finished() {
            match read(&handle, "name", 100) {
                Ok(content) => {
                    assert_eq!(content, b"inside");
                    read_well += 1;
                }
                Err(error) => assert!(error.to_string().contains("link"), "{error}"),
            }
        }
        swapping.join().unwrap();
        assert!(read_well > 0 || read(&handle, "name", 100).unwrap() == b"inside");
    }

    #[test]
    fn a_folder_swapped_for_a_link_is_never_entered() {
        let (_temp, inside, outside) = folders();
        let (name, link, real) = (inside.join("logs"), inside.join("link"), inside.join("real"));
        fs::create_dir(&name).unwrap();
        fs::write(name.join("secret"), "inside").unwrap();
        let handle = dir(&inside);
        let swapping = std::thread::spawn(move || {
            for _ in 0..2_000 {
                fs::rename(&name, &real).unwrap();
                symlink(&outside, &link).unwrap();
                fs::rename(&link, &name).unwrap();
                fs::remove_file(&name).unwrap();
                fs::rename(&real, &name).unwrap();
            }
        });
        while !swapping.is_finished() {
            if let Ok(folder) = open_dir(&handle, "logs") {
                assert_eq!(read(&folder, "secret", 100).unwrap(), b"inside");
            }
        }
        swapping.join().unwrap();
    }

    #[test]
    fn a_handle_stays_with_its_folder_when_that_is_renamed() {
        let (temp, inside, outside) = folders();
        let handle = dir(&inside);
        let moved = temp.path().join("moved");
        fs::rename(&inside, &moved).unwrap();
        symlink(&outside, &inside).unwrap();
        assert_eq!(open_folder(&inside).unwrap_err().to_string(), "is a link");
        assert!(open_folder(&moved).unwrap().entries().unwrap().next().is_none());
        replace(&handle, "file", b"x").unwrap();
        assert!(moved.join("file").is_file() && !outside.join("file").exists());
    }
}
