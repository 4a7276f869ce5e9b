use super::*;
use crate::model::catalogue::{Licence, ModelKind, WheelPart};

mod converted_cases;
mod file_server;
mod https_cases;
mod pypi_cases;

/// A GGUF by its first bytes, long enough to be cut in the middle.
fn content() -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend((0..300_000_u32).flat_map(u32::to_le_bytes));
    bytes
}

fn entry_for(bytes: &[u8], sources: Vec<Source>) -> Entry {
    Entry {
        name: "tiny".to_owned(),
        description: "a test".to_owned(),
        kind: ModelKind::Chat,
        architecture: "none".to_owned(),
        file: "tiny.gguf".to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
        licence: Licence { name: "MIT".to_owned(), url: "https://example.org".to_owned() },
        context: 128,
        default: false,
        sources,
        converted: None,
    }
}

/// Names in the folder, without the lock.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".pull.lock")
        .collect();
    names.sort();
    names
}

/// Adds up what it is told, and checks that stages do not overlap.
#[derive(Default)]
struct Counted {
    bytes: u64,
    running: bool,
}

impl Progress for Counted {
    fn start(&mut self, _total_bytes: u64, what: &str) {
        assert!(!self.running && !what.is_empty());
        self.running = true;
    }
    fn advance(&mut self, bytes: u64) {
        assert!(self.running);
        self.bytes += bytes;
    }
    fn finish(&mut self) {
        assert!(self.running);
        self.running = false;
    }
}

#[test]
fn a_file_at_hand_is_copied_once_and_then_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("deep/models");
    let bytes = content();
    let given = folder.path().join("given");
    fs::write(&given, &bytes).unwrap();
    let entry = entry_for(&bytes, Vec::new());

    let mut progress = Counted::default();
    let first = from_files(&entry, &[given], &models, &mut progress).unwrap();
    assert!(matches!(first, PullOutcome::Fetched { .. }));
    assert_eq!(progress.bytes, entry.size);
    assert_eq!(fs::read(models.join("tiny.gguf")).unwrap(), bytes);
    assert_eq!(names(&models), ["tiny.gguf"]);

    let second = pull(&entry, &models, &mut NoProgress).unwrap();
    assert_eq!(second, PullOutcome::AlreadyThere { path: models.join("tiny.gguf") });
}

#[test]
fn a_mistaken_file_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    let bytes = content();
    let given = folder.path().join("given");
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    for (wrong, reason) in [(other, "expected sha256"), (b"short".to_vec(), "5 bytes instead of")] {
        fs::write(&given, wrong).unwrap();
        let entry = entry_for(&bytes, Vec::new());
        let files = std::slice::from_ref(&given);
        let error = from_files(&entry, files, &models, &mut NoProgress).unwrap_err();
        assert!(matches!(error, PullError::Differs { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
    let twice = [given.clone(), given];
    let error = from_files(&entry_for(&bytes, Vec::new()), &twice, &models, &mut NoProgress);
    assert!(error.unwrap_err().to_string().contains("is one file, 2 were given"));
    assert!(names(&models).is_empty());
}

#[test]
fn somebody_elses_file_under_the_name_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, b"mine").unwrap();
    let error =
        pull(&entry_for(&content(), Vec::new()), folder.path(), &mut NoProgress).unwrap_err();
    assert!(error.hint().unwrap().contains("move"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_model_beyond_the_disk_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut entry = entry_for(&content(), Vec::new());
    entry.size = u64::MAX / 4;
    let error = pull(&entry, folder.path(), &mut NoProgress).unwrap_err();
    assert!(matches!(error, PullError::DiskFull { free: Some(_), .. }), "{error}");
    assert!(error.hint().unwrap().contains("THRALL_MODELS"));
}

#[test]
fn a_gguf_is_known_by_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for (bytes, expected) in [
        (content(), true),
        (b"GGUF\x02\0\0\0rest".to_vec(), true),
        (b"GGUF\x01\0\0\0rest".to_vec(), false),
        (b"<!doctype html>".to_vec(), false),
        (b"GGUF".to_vec(), false),
        (Vec::new(), false),
    ] {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(looks_like_gguf(&path).unwrap(), expected, "{:?}", bytes.get(..8));
    }
    assert!(looks_like_gguf(&folder.path().join("missing")).is_err());
}

#[test]
fn the_shared_folder_follows_the_environment() {
    let folder = |pairs: &'static [(&str, &str)]| {
        shared_models_folder(move |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
        })
    };
    assert_eq!(folder(&[("THRALL_MODELS", "/m"), ("HOME", "/h")]), Some("/m".into()));
    assert_eq!(folder(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), Some("/d/thrall/models".into()));
    assert_eq!(
        folder(&[("THRALL_MODELS", ""), ("HOME", "/h")]),
        Some("/h/.local/share/thrall/models".into())
    );
    assert_eq!(folder(&[]), None);
}
