//! Files that recipes gather. The grant names each by its path, so that path
//! must lead to that file and nowhere else: from the root down, folder by
//! folder, by handle, no link is followed, and what is opened must be a plain
//! file with one name. Whether a recipe may read it is decided before, in
//! `pipeline/gather.rs`.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as DirMetadataExt};
use tokio::sync::Semaphore;

use crate::pipeline::gather::last_lines;
use crate::pipeline::ports::{Gathered, Gatherer};
use crate::plain_file;

/// What one file may take.
const DEADLINE: Duration = Duration::from_millis(100);
/// Reads at the same time. A disk that hangs holds so many threads and no more.
const AT_ONCE: usize = 16;

/// Reads files of this machine.
pub struct FileGatherer {
    /// Folders that no grant opens, whatever path leads there.
    secret: Arc<[PathBuf]>,
    slots: Arc<Semaphore>,
}

impl FileGatherer {
    /// `secret` are the service's own folders that hold keys, tokens, grants.
    pub fn new(secret: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { secret: secret.into_iter().collect(), slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

#[async_trait]
impl Gatherer for FileGatherer {
    async fn read(&self, path: &str, max_bytes: usize) -> Result<Gathered, String> {
        let (path, secret) = (path.to_owned(), Arc::clone(&self.secret));
        let slots = Arc::clone(&self.slots);
        let reading = async move {
            let slot = slots.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let found = read(&path, &secret, max_bytes);
                // Held by the thread, not by whoever waits for it.
                drop(slot);
                found
            })
            .await
        };
        match tokio::time::timeout(DEADLINE, reading).await {
            Ok(Ok(found)) => found,
            Ok(Err(failed)) => Err(format!("cannot be read: {failed}")),
            Err(_) => Err(format!("cannot be read within {} ms", DEADLINE.as_millis())),
        }
    }
}

fn read(path: &str, secret: &[PathBuf], max_bytes: usize) -> Result<Gathered, String> {
    let file = open(path, secret).map_err(|error| error.to_string())?;
    end_of(file, max_bytes).map_err(|error| format!("cannot be read: {error}"))
}

/// Walks to the file. The folders are opened one from the other, so that none
/// can be exchanged for a link on the way.
///
/// # Errors
/// Of the kind that stopped it, saying how far it came.
pub(super) fn open(path: &str, secret: &[PathBuf]) -> io::Result<File> {
    let Some((folders, name)) = path.strip_prefix('/').map(|inside| {
        inside.rsplit_once('/').map_or((None, inside), |(folders, name)| (Some(folders), name))
    }) else {
        return Err(io::Error::other("is not an absolute path"));
    };
    let secret: Vec<Identity> = secret.iter().filter_map(|path| identity_of(path)).collect();
    let unreadable =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot be read: {error}"));
    let mut dir = Dir::open_ambient_dir("/", ambient_authority()).map_err(unreadable)?;
    let mut walked = String::new();
    for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
        walked.push('/');
        walked.push_str(part);
        dir = plain_file::open_dir(&dir, part).map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::NotADirectory => {
                    format!("cannot be read: {walked} {error}; name the file by its plain path")
                }
                _ => format!("cannot be read: {walked}: {error}"),
            };
            io::Error::new(error.kind(), what)
        })?;
        let here = dir.dir_metadata().map_err(unreadable)?;
        if secret.contains(&(DirMetadataExt::dev(&here), DirMetadataExt::ino(&here))) {
            let what = format!("{walked} holds thrall's own secrets: no grant opens it");
            return Err(io::Error::other(what));
        }
    }
    let file = plain_file::open(&dir, name).map_err(unreadable)?;
    // A second name can be given to a file that its maker may not even read.
    let names = file.metadata().map_err(unreadable)?.nlink();
    if names > 1 {
        let what = format!("has {names} names (hard links); only a file with one is read");
        return Err(io::Error::other(what));
    }
    Ok(file)
}

/// Device and number: the same folder under any path.
type Identity = (u64, u64);

fn identity_of(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The end of a file, from the beginning of a line if there is one.
fn end_of(mut file: File, max_bytes: usize) -> io::Result<Gathered> {
    // One byte before tells whether the rest begins a line.
    let wanted = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let length = file.metadata()?.len();
    let from = length.saturating_sub(wanted);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(wanted.saturating_add(1)).read_to_end(&mut bytes)?;
    if length == 0 && bytes.len() > max_bytes {
        // As files of the kernel do: where their end is cannot be known.
        let what = format!("says that it is empty and holds more than {max_bytes} bytes");
        return Err(io::Error::other(what));
    }
    // It may have grown since.
    let surplus = bytes.len().saturating_sub(max_bytes.saturating_add(1));
    bytes.drain(..surplus);
    let begins_inside = from > 0 || surplus > 0;
    let cut = if begins_inside { cut_character(&bytes) } else { 0 };
    bytes.drain(..cut);
    let text = String::from_utf8_lossy(&bytes);
    let replaced = matches!(text, std::borrow::Cow::Owned(_));
    let kept = last_lines(&text, max_bytes, cut > 0);
    let truncated = begins_inside || kept.len() < text.len();
    Ok(Gathered { text: kept.to_owned(), truncated, replaced })
}

/// Bytes at the beginning that belong to a character which was cut in two.
fn cut_character(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Test {
        // Not in a path that leads through a link.
        temp: tempfile::TempDir,
        root: PathBuf,
    }

    impl Test {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let root = temp.path().canonicalize().unwrap();
            for folder in ["logs", "home/state", "outside"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            fs::write(root.join("outside/secret"), "SECRET").unwrap();
            fs::write(root.join("home/state/thrall.db"), "SECRET").unwrap();
            Self { temp, root }
        }

        fn write(&self, inside: &str, content: impl AsRef<[u8]>) -> String {
            let path = self.root.join(inside);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        }

        fn path(&self, inside: &str) -> String {
            self.root.join(inside).to_str().unwrap().to_owned()
        }

        fn read(&self, path: &str, max_bytes: usize) -> Result<Gathered, String> {
            assert!(self.temp.path().exists());
            super::read(path, &[self.root.join("home/state")], max_bytes)
        }

        fn refused(&self, path: &str) -> String {
            let error = self.read(path, 100).unwrap_err();
            assert!(!error.contains("SECRET"));
            error
        }
    }

    fn whole(text: &str) -> Gathered {
        Gathered { text: text.to_owned(), truncated: false, replaced: false }
    }

    #[test]
    fn of_a_long_file_the_last_whole_lines_are_taken() {
        let test = Test::new();
        let log = test.write("logs/serve.log", "first\nsecond\nthird\n");
        assert_eq!(test.read(&log, 100), Ok(whole("first\nsecond\nthird\n")));
        assert_eq!(test.read(&log, 19), Ok(whole("first\nsecond\nthird\n")));
        for (max_bytes, text) in [
            (18, "second\nthird\n"),
            (13, "second\nthird\n"),
            (12, "third\n"),
            (6, "third\n"),
            (5, "hird\n"),
        ] {
            let found = test.read(&log, max_bytes).unwrap();
            assert_eq!((found.text.as_str(), found.truncated), (text, true), "{max_bytes}");
        }
        assert_eq!(test.read(&test.write("logs/empty", ""), 100), Ok(whole("")));
    }

    #[test]
    fn what_is_no_utf8_is_replaced_and_said_and_a_cut_character_is_not() {
        let test = Test::new();
        let binary = test.write("logs/binary", b"a\xffb");
        let found = test.read(&binary, 100).unwrap();
        assert_eq!((found.text.as_str(), found.replaced), ("a\u{fffd}b", true));
        let long = test.write("logs/umlauts", "ä".repeat(50));
        for max_bytes in 1..100 {
            let found = test.read(&long, max_bytes).unwrap();
            assert!(!found.replaced && found.text.len() <= max_bytes, "{max_bytes}: {found:?}");
        }
        let noise = test.write("logs/noise", [0xff; 1000]);
        let found = test.read(&noise, 100).unwrap();
        assert!(found.text.len() <= 100 && found.truncated, "{found:?}");
    }

    #[test]
    fn no_link_leads_anywhere_whether_file_or_folder_or_hard() {
        let test = Test::new();
        symlink(test.path("outside/secret"), test.path("logs/link")).unwrap();
        assert!(test.refused(&test.path("logs/link")).contains("not a plain file but a link"));
        symlink(test.path("outside"), test.path("logs/folder")).unwrap();
        let error = test.refused(&test.path("logs/folder/secret"));
        assert!(
            error.contains("logs/folder is a link; name the file by its plain path"),
            "{error}"
        );
        fs::hard_link(test.path("outside/secret"), test.path("logs/hard")).unwrap();
        assert!(test.refused(&test.path("logs/hard")).contains("has 2 names"));
    }

    #[test]
    fn other_ways_of_writing_a_path_are_refused() {
        let test = Test::new();
        let log = test.write("logs/serve.log", "fine");
        assert!(test.read(&log, 100).is_ok());
        for path in [
            format!("{log}/"),
            format!("/{log}"),
            test.path("logs/../outside/secret"),
            test.path("logs/./serve.log"),
            test.path("logs//serve.log"),
            format!("{log}\0"),
            test.path("logs/SERVE.LOG"),
            "logs/serve.log".to_owned(),
            "/".to_owned(),
            String::new(),
        ] {
            test.refused(&path);
        }
    }

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let test = Test::new();
        assert!(test.refused(&test.path("logs")).contains("a folder"));
        assert!(test.refused("/dev/zero").contains("pipe, socket or device"));
        let pipe = test.path("logs/pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(test.refused(&pipe).contains("pipe, socket or device"));
        assert!(test.refused(&test.path("logs/absent")).contains("No such file"));
        assert!(test.refused(&test.path("absent/x")).contains("absent: No such file"));
    }

    #[test]
    fn the_services_secrets_are_closed_under_any_path() {
        let test = Test::new();
        let database = test.path("home/state/thrall.db");
        assert!(test.refused(&database).contains("holds thrall's own secrets"));
        fs::create_dir(test.root.join("home/state/deep")).unwrap();
        fs::write(test.root.join("home/state/deep/key"), "SECRET").unwrap();
        assert!(test.refused(&test.path("home/state/deep/key")).contains("own secrets"));
        test.write("home/stated", "fine");
        assert!(test.read(&test.path("home/stated"), 100).is_ok());
    }

    #[test]
    fn a_path_that_changes_underneath_never_gives_what_is_outside() {
        let test = Test::new();
        let log = test.write("logs/serve.log", "inside");
        let root = test.root.clone();
        let swapping = std::thread::spawn(move || {
            let at = |inside: &str| root.join(inside);
            for _ in 0..1_500 {
                symlink(at("outside/secret"), at("link")).unwrap();
                fs::rename(at("link"), at("logs/serve.log")).unwrap();
                fs::rename(at("logs"), at("away")).unwrap();
                symlink(at("outside"), at("logs")).unwrap();
                fs::remove_file(at("logs")).unwrap();
                fs::rename(at("away"), at("logs")).unwrap();
                fs::write(at("real"), "inside").unwrap();
                fs::rename(at("real"), at("logs/serve.log")).unwrap();
            }
        });
        while !swapping.is_finished() {
            if let Ok(found) = test.read(&log, 100) {
                assert_eq!(found.text, "inside");
            }
        }
        swapping.join().unwrap();
        assert_eq!(test.read(&log, 100), Ok(whole("inside")));
    }

    #[tokio::test]
    async fn a_source_is_read_through_the_port() {
        let test = Test::new();
        let log = test.write("logs/serve.log", "fine");
        let gatherer = FileGatherer::new([test.root.join("home/state")]);
        assert_eq!(gatherer.read(&log, 100).await, Ok(whole("fine")));
    }
}
