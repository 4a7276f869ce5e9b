//! The `breakers` folder: one file for each breaker, and the file is the only
//! state, so that a person can look at it, and delete it. Everything goes
//! through one handle; what is no plain file is reported, never followed.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::breakers::{BreakerFile, MAX_BREAKER_BYTES, Target, Trip};
use crate::clock::TimestampMs;
use crate::plain_file;
use crate::stage::BreakerFact;

/// More files than this are an accident or an attack.
const MAX_FILES: usize = 1000;

/// A handle on the folder.
#[derive(Debug)]
pub struct BreakerFolder {
    /// `None`: there is no such folder, so no breaker was ever tripped.
    dir: Option<Dir>,
}

/// One file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Escaped: whoever made the file chose its name.
    pub file: String,
    pub content: Result<BreakerFile, String>,
}

impl BreakerFolder {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened, or it is a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        Ok(Self { dir: Some(plain_file::open_folder(path)?) })
    }

    /// Opens the folder for reading; makes nothing.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub fn existing(path: &Path) -> io::Result<Self> {
        match plain_file::open_folder(path) {
            Ok(dir) => Ok(Self { dir: Some(dir) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { dir: None }),
            Err(error) => Err(error),
        }
    }

    /// Trips a breaker: on disk on return. What lies in its place and is no
    /// breaker is replaced.
    ///
    /// # Errors
    /// The file cannot be written; an older one is untouched.
    pub fn trip(&self, trip: &Trip<'_>) -> io::Result<BreakerFile> {
        let dir = self.dir.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let name = trip.target.file_name();
        let before = read(dir, &name).ok().flatten().map(|(file, _)| file);
        let file = trip.file(before.filter(|before| before.holds(trip.at)).as_ref());
        plain_file::replace(dir, &name, &file.to_bytes())?;
        Ok(file)
    }

    /// The breaker of a target, if it holds.
    ///
    /// # Errors
    /// There is a file and it cannot be read: whether the target is stopped is
    /// then not known.
    pub fn state(&self, target: &Target, now: TimestampMs) -> Result<Option<BreakerFact>, String> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let name = target.file_name();
        let found = read(dir, &name).map_err(|what| format!("breakers/{name}: {what}"))?;
        Ok(found
            .filter(|(file, _)| file.holds(now))
            .map(|(file, written)| file.fact(target, written)))
    }

    /// Everything that lies there, by name, at most the first thousand.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let Some(dir) = &self.dir else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in dir.entries()? {
            // Names that begin with a dot are files that are being written.
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(Some(name).filter(|name| !name.starts_with('.')));
        }
        names.sort_unstable();
        names.truncate(MAX_FILES);
        let listed = |name: String| Listed {
            content: match Target::of_file(&name) {
                Some(_) => read(dir, &name).and_then(|found| {
                    found.map(|(file, _)| file).ok_or_else(|| "has just been removed".to_owned())
                }),
                None => Err("is not named after a breaker's target: it stops nothing".to_owned()),
            },
            file: name.escape_debug().to_string(),
        };
        Ok(names.into_iter().map(listed).collect())
    }

    /// What is wrong in the folder, a line each.
    pub fn problems(&self) -> Vec<String> {
        let listed = match self.list() {
            Ok(listed) => listed,
            Err(error) => return vec![format!("breakers/ cannot be listed: {error}")],
        };
        let problem = |one: Listed| {
            let what = match one.content {
                Ok(file) => file.warning()?,
                Err(what) => what,
            };
            Some(format!("breakers/{}: {what}", one.file))
        };
        listed.into_iter().filter_map(problem).collect()
    }
}

/// A breaker with the time when its file was written; `None` if there is none.
fn read(dir: &Dir, name: &str) -> Result<Option<(BreakerFile, TimestampMs)>, String> {
    let bytes = match plain_file::read(dir, name, MAX_BREAKER_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some((BreakerFile::parse(&bytes)?, written(dir, name))))
}

fn written(dir: &Dir, name: &str) -> TimestampMs {
    let modified = dir.symlink_metadata(name).and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|at| at.into_std().duration_since(UNIX_EPOCH).ok());
    TimestampMs(since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    const NOW: TimestampMs = TimestampMs(1_772_271_101_000);

    struct Test {
        temp: tempfile::TempDir,
        folder: BreakerFolder,
    }

    impl Test {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let folder = BreakerFolder::open(&temp.path().join("breakers")).unwrap();
            fs::write(temp.path().join("secret"), "{\"reason\": \"SECRET\"}").unwrap();
            Self { temp, folder }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.temp.path().join("breakers").join(name)
        }

        fn trip(&self, target: &str, operation: &str) -> io::Result<BreakerFile> {
            let target = Target::parse(target).unwrap();
            self.folder.trip(&Trip {
                target: &target,
                reason: "loop",
                at: NOW,
                expires_in_s: None,
                operation,
            })
        }

        fn state(&self, target: &str, now: TimestampMs) -> Result<Option<BreakerFact>, String> {
            self.folder.state(&Target::parse(target).unwrap(), now)
        }
    }

    #[test]
    fn a_breaker_holds_until_it_expires_and_each_trip_counts_once() {
        let test = Test::new();
        assert_eq!(test.state("global", NOW), Ok(None));
        test.trip("global", "1").unwrap();
        test.trip("global", "1").unwrap();
        assert_eq!(test.state("global", NOW).unwrap().unwrap().trip_count, 1);
        test.trip("global", "2").unwrap();
        let fact = test.state("global", NOW).unwrap().unwrap();
        assert_eq!((fact.trip_count, fact.reason.as_str()), (2, "loop"));
        assert_eq!(test.state("global", NOW.plus(Duration::from_secs(3601))), Ok(None));
        fs::remove_file(test.path("global.json")).unwrap();
        assert_eq!(test.state("global", NOW), Ok(None), "deleting the file clears it");
    }

    #[test]
    fn what_is_no_plain_file_is_reported_and_never_followed() {
        let test = Test::new();
        symlink(test.temp.path().join("secret"), test.path("global.json")).unwrap();
        fs::create_dir(test.path("skill,folder.json")).unwrap();
        fs::write(test.path("skill,huge.json"), " ".repeat(MAX_BREAKER_BYTES + 1)).unwrap();
        fs::write(test.path("skill,broken.json"), "no json").unwrap();
        fs::write(test.path("notes\u{1b}.txt"), "").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            test.path("skill,pipe.json"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for (target, why) in [
            ("global", "not a plain file but a link"),
            ("skill:folder", "not a plain file but a folder"),
            ("skill:huge", "more than 16 KiB"),
            ("skill:broken", "not a breaker"),
            ("skill:pipe", "not a plain file but a pipe"),
        ] {
            let error = test.state(target, NOW).unwrap_err();
            assert!(error.contains(why) && !error.contains("SECRET"), "{error}");
        }
        let problems = test.folder.problems();
        assert_eq!(problems.len(), 6, "{problems:#?}");
        assert!(problems.iter().any(|line| line.contains("notes\\u{1b}.txt: is not named after")));
    }

    #[test]
    fn a_trip_replaces_a_link_and_leaves_what_it_led_to() {
        let test = Test::new();
        let secret = test.temp.path().join("secret");
        symlink(&secret, test.path("global.json")).unwrap();
        symlink(&secret, test.path(".global.json.tmp")).unwrap();
        test.trip("global", "1").unwrap();
        assert_eq!(fs::read_to_string(&secret).unwrap(), "{\"reason\": \"SECRET\"}");
        assert_eq!(test.state("global", NOW).unwrap().unwrap().reason, "loop");
        fs::create_dir(test.path("skill,x.json")).unwrap();
        assert!(test.trip("skill:x", "2").is_err(), "a folder in its place is not removed");
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_breaker() {
        let temp = tempfile::tempdir().unwrap();
        let folder = BreakerFolder::existing(&temp.path().join("breakers")).unwrap();
        assert_eq!(folder.state(&Target::parse("global").unwrap(), NOW), Ok(None));
        assert!(folder.list().unwrap().is_empty() && folder.problems().is_empty());
        assert!(!temp.path().join("breakers").exists());
    }
}
