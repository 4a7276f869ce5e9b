//! `thrall bench engine|model`: this machine's figures as JSON, medians of
//! several rounds, each beside the baseline that it is a ratio of, measured in
//! the same run. `bench triage`: how often decisions are right.

mod engine;
mod triage;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::Outcome;
use super::args::BenchCommand;
use super::printer::Printer;
use crate::home::Home;
use crate::model::catalogue::ModelKind;
use crate::model::embedded_llama::{bench, embed_bench};
use crate::model_files::ModelFiles;

pub(super) async fn run(
    home: &Path,
    command: &BenchCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    match command {
        BenchCommand::Engine { events, rounds, journal_rows } => {
            let figures =
                engine::measure(*events, (*rounds).max(1), *journal_rows, printer).await?;
            printer.json(&figures)?;
        }
        BenchCommand::Triage(args) => triage::run(&Home::new(home), args, printer).await?,
        BenchCommand::Model { model, rounds } => {
            let files = ModelFiles::of_home(&Home::new(home))?;
            let entry = files.catalogue().find(model)?;
            let path = files
                .find(entry)
                .with_context(|| format!("{model} is not on disk: `thrall model pull {model}`"))?;
            let rounds = *rounds as usize;
            printer.talk(&format!("{}: {rounds} rounds, this takes a while", path.display()));
            match entry.kind {
                ModelKind::Chat => {
                    let measure = move || bench::bench(&path, rounds);
                    printer.json(&tokio::task::spawn_blocking(measure).await??)?;
                }
                ModelKind::Embedding => {
                    let measure = move || embed_bench::bench(&path, rounds);
                    printer.json(&tokio::task::spawn_blocking(measure).await??)?;
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// The middle of several measurements; zero of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The value below which `share` of the measurements lie.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
