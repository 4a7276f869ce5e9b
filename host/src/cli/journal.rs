//! `thrall journal list|show|tail|verify`.

use std::path::Path;
use std::time::Duration;

use super::Outcome;
use super::args::{JournalCommand, JournalFilterArgs};
use super::printer::{Printer, shorten};
use super::{explain, journal_words, progress, recipe_names, trace_view};
use crate::home::Home;
use crate::ids::JournalId;
use crate::store::{JournalEntry, JournalFilter, JournalRecord, Reader, VerifyError};

/// How often `tail` looks for new rows.
const TAIL_EVERY: Duration = Duration::from_millis(500);
/// Rows of one look.
const TAIL_PAGE: u32 = 500;

pub(super) fn run(
    home: &Path,
    command: &JournalCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let reader = Reader::open(&home.state())?;
    match command {
        JournalCommand::List(filter) => list(&home, &reader, filter, printer),
        JournalCommand::Show { id } => match id.parse() {
            Ok(id) => show(&reader, id, printer),
            Err(_) => Ok(printer.no(&format!(
                "{id:?} is no row number; the story of an event is told by `thrall explain {id}`"
            ))),
        },
        JournalCommand::Tail { once, after } => tail(&reader, *once, *after, printer),
        JournalCommand::Verify => verify(&reader, printer),
    }
}

fn list(
    home: &Home,
    reader: &Reader,
    args: &JournalFilterArgs,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let filter = JournalFilter {
        recipe: args.recipe.clone(),
        action: args.action.clone(),
        from_node: args.sender.clone(),
        with_breakers: true,
        limit: args.limit,
        ..JournalFilter::default()
    };
    let rows = reader.journal_list(&filter)?;
    if rows.is_empty()
        && let Some(why) = nonsense(home, reader, args)?
    {
        return Ok(printer.no(&why));
    }
    if printer.is_json() {
        printer.json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        printer.table(
            &["row", "at (UTC)", "recipe", "sender", "tier", "by", "action", "reason"],
            &cells,
        )?;
    }
    Ok(Outcome::Done)
}

/// Why there can be no row of this kind, if so.
fn nonsense(
    home: &Home,
    reader: &Reader,
    args: &JournalFilterArgs,
) -> anyhow::Result<Option<String>> {
    if let Some(why) = recipe_names::unknown(home, args.recipe.as_deref())? {
        return Ok(Some(why));
    }
    if let Some(why) = journal_words::unknown_sender(reader, args.sender.as_deref())? {
        return Ok(Some(why));
    }
    journal_words::unknown_action(home, reader, args.action.as_deref())
}

fn cells(record: &JournalRecord) -> Vec<String> {
    match &record.entry {
        JournalEntry::Decision { row, .. } => vec![
            record.id.to_string(),
            row.at.to_log_form(),
            if row.recipe.is_empty() { "(guard)".to_owned() } else { row.recipe.clone() },
            row.sender_key.clone(),
            row.tier.as_str().to_owned(),
            row.eval_type.as_str().to_owned(),
            row.action_name.clone(),
            shorten(&row.reason, 60),
        ],
        JournalEntry::Performed(row) | JournalEntry::Review(row) => vec![
            record.id.to_string(),
            row.at.to_log_form(),
            row.recipe.clone(),
            String::new(),
            String::new(),
            match &record.entry {
                JournalEntry::Review(_) => "review".to_owned(),
                _ => "performed".to_owned(),
            },
            format!("{} {}", row.operation, row.state),
            shorten(&row.detail, 60),
        ],
    }
}

fn show(reader: &Reader, id: JournalId, printer: &Printer) -> anyhow::Result<Outcome> {
    let Some(story) = reader.journal_show(id)? else {
        printer
            .talk(&format!("the journal has no row {id}; `thrall journal list` shows the newest"));
        return Ok(Outcome::No);
    };
    if printer.is_json() {
        printer.json(&story)?;
        return Ok(Outcome::Done);
    }
    printer.line(&cells(&story.record).join("  "))?;
    if let Some(stored) = &story.envelope {
        explain::print_hidden(printer, &stored.envelope)?;
    }
    if let Some(trace) = &story.trace {
        trace_view::print(printer, trace)?;
    }
    Ok(Outcome::Done)
}

fn tail(
    reader: &Reader,
    once: bool,
    mut after: JournalId,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    loop {
        let rows = reader.tail(after, TAIL_PAGE)?;
        for record in &rows {
            after = record.id;
            if printer.is_json() {
                printer.json_line(record)?;
            } else {
                printer.line(&cells(record).join("  "))?;
            }
        }
        if rows.is_empty() {
            if once {
                return Ok(Outcome::Done);
            }
            std::thread::sleep(TAIL_EVERY);
        }
    }
}

fn verify(reader: &Reader, printer: &Printer) -> anyhow::Result<Outcome> {
    let bar = progress::items(0, "verify");
    let report = reader.verify(&mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match report {
        Ok(report) => {
            let head = report.head.map(|head| head.to_string()).unwrap_or_default();
            if printer.is_json() {
                printer.json(&serde_json::json!({
                    "ok": true, "rows": report.rows, "head": head,
                    "expired_payloads": report.expired_payloads, "expired_traces": report.expired_traces,
                }))?;
            } else {
                printer.line(&format!("{} rows, unbroken; head {head}", report.rows))?;
            }
            Ok(Outcome::Done)
        }
        Err(VerifyError::Store(error)) => Err(error.into()),
        Err(broken) => {
            if printer.is_json() {
                printer.json(&serde_json::json!({"ok": false, "problem": broken.to_string()}))?;
            } else {
                printer.line(&broken.to_string())?;
            }
            Ok(Outcome::No)
        }
    }
}
