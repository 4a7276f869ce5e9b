//! `thrall model list|pull|verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Serialize;

use super::Outcome;
use super::args::ModelCommand;
use super::printer::Printer;
use super::progress;
use crate::home::Home;
use crate::model::catalogue::Entry;
use crate::model::pull::{self, Progress, PullError, PullOutcome};
use crate::model_files::ModelFiles;

pub(super) fn run(
    home: &Path,
    command: &ModelCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let files = ModelFiles::of_home(&Home::new(home))?;
    match command {
        ModelCommand::List => list(&files, printer),
        ModelCommand::Pull { names, missing, from_file } => {
            pull_all(&files, names, *missing, from_file, printer)
        }
        ModelCommand::Verify { names } => verify(&files, names, printer),
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    description: &'a str,
    bytes: u64,
    licence: &'a str,
    /// Where the file is, if it is.
    path: Option<PathBuf>,
    default: bool,
}

fn list(files: &ModelFiles, printer: &Printer) -> anyhow::Result<Outcome> {
    let listed: Vec<Listed<'_>> = files
        .catalogue()
        .entries()
        .iter()
        .map(|entry| Listed {
            name: &entry.name,
            description: &entry.description,
            bytes: entry.size,
            licence: &entry.licence.name,
            path: files.find(entry),
            default: entry.default,
        })
        .collect();
    if printer.is_json() {
        printer.json(&listed)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|one| {
            vec![
                one.name.to_owned(),
                format!("{} MB", one.bytes / 1_000_000),
                one.path
                    .as_ref()
                    .map_or_else(|| "not fetched".to_owned(), |path| path.display().to_string()),
                one.licence.to_owned(),
                one.description.to_owned(),
            ]
        })
        .collect();
    printer.table(&["name", "size", "on disk", "licence", "what"], &rows)?;
    Ok(Outcome::Done)
}

fn pull_all(
    files: &ModelFiles,
    names: &[String],
    missing: bool,
    from_files: &[PathBuf],
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let entries = if missing {
        files.catalogue().entries().iter().filter(|entry| entry.default).collect()
    } else {
        named(files, names)?
    };
    if !from_files.is_empty() && entries.len() != 1 {
        bail!("--from-file takes exactly one model name");
    }
    // What the demo and the tests use is every checkout's.
    let folder = if missing { files.shared_folder()? } else { files.pull_folder()? };
    let mut outcome = Outcome::Done;
    for entry in entries {
        let mut bar = Bar(None);
        // One that lies in the folder of all homes is not fetched again: a service of
        // another user does not look there, so it is copied.
        let there = files.find(entry).filter(|path| path.parent() != Some(folder));
        let pulled = match &there {
            _ if !from_files.is_empty() => pull::from_files(entry, from_files, folder, &mut bar),
            Some(there) => pull::from_files(entry, std::slice::from_ref(there), folder, &mut bar),
            None => pull::pull(entry, folder, &mut bar),
        };
        match pulled {
            // With --missing a model that is there is not worth a word.
            Ok(PullOutcome::AlreadyThere { .. }) if missing => {}
            Ok(PullOutcome::AlreadyThere { path }) => {
                printer.talk(&format!("{}: there already, {}", entry.name, path.display()));
            }
            Ok(PullOutcome::Fetched { path, from }) => {
                printer.talk(&format!(
                    "{}: fetched from {from}, SHA-256 right, {}",
                    entry.name,
                    path.display()
                ));
            }
            Err(error) => {
                report(printer, entry, &error);
                outcome = Outcome::No;
            }
        }
    }
    Ok(outcome)
}

fn verify(files: &ModelFiles, names: &[String], printer: &Printer) -> anyhow::Result<Outcome> {
    let entries = if names.is_empty() {
        files.catalogue().entries().iter().collect()
    } else {
        named(files, names)?
    };
    let mut outcome = Outcome::Done;
    let mut checked = Vec::new();
    for entry in entries {
        let Some(path) = files.find(entry) else {
            if !names.is_empty() {
                printer.talk(&format!(
                    "{}: not on disk, fetch it with `thrall model pull {}`",
                    entry.name, entry.name
                ));
                outcome = Outcome::No;
            }
            continue;
        };
        match pull::verify(entry, &path) {
            Ok(()) => checked.push((entry.name.clone(), path)),
            Err(error) => {
                report(printer, entry, &error);
                outcome = Outcome::No;
            }
        }
    }
    if printer.is_json() {
        printer.json(&checked)?;
    } else {
        for (name, path) in checked {
            printer.line(&format!("{name}: right, {}", path.display()))?;
        }
    }
    Ok(outcome)
}

fn named<'a>(files: &'a ModelFiles, names: &[String]) -> anyhow::Result<Vec<&'a Entry>> {
    if names.is_empty() {
        bail!("name a model, or say --missing; `thrall model list` shows the names");
    }
    names
        .iter()
        .map(|name| {
            files.catalogue().find(name).with_context(|| format!("cannot find the model {name:?}"))
        })
        .collect()
}

fn report(printer: &Printer, entry: &Entry, error: &PullError) {
    printer.error(&anyhow::anyhow!("{}: {error}", entry.name));
    if let Some(hint) = error.hint() {
        printer.talk(&format!("  {hint}"));
    }
}

/// A pull's stages as progress bars.
struct Bar(Option<ProgressBar>);

impl Progress for Bar {
    fn start(&mut self, total_bytes: u64, what: &str) {
        self.0 = Some(progress::bytes(total_bytes, what));
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
