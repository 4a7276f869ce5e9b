//! `thrall explain`: one event's whole story on a screen.

use std::path::Path;

use super::Outcome;
use super::args::ExplainArgs;
use super::printer::{Printer, shorten};
use super::trace_view;
use crate::envelope::Envelope;
use crate::envelope::visible_text::Hidden;
use crate::home::Home;
use crate::store::{EventStory, JournalEntry, Reader, StoryKey};

/// How much of a field is shown.
const MAX_FIELD: usize = 200;

pub(super) fn run(home: &Path, args: &ExplainArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let reader = Reader::open(&home.state())?;
    let key = match args.id.parse() {
        Ok(row) => StoryKey::Journal(row),
        Err(_) => StoryKey::EnvelopeId(args.id.clone()),
    };
    let stories = reader.event_stories(&key)?;
    if stories.is_empty() {
        printer.talk(&format!(
            "no event is called {:?}: give a journal row or an envelope's id",
            args.id
        ));
        return Ok(Outcome::No);
    }
    if printer.is_json() {
        printer.json(&stories)?;
        return Ok(Outcome::Done);
    }
    for story in &stories {
        print(printer, story)?;
    }
    Ok(Outcome::Done)
}

/// A line for each field that holds what a person does not see.
pub(super) fn print_hidden(printer: &Printer, envelope: &Envelope) -> anyhow::Result<()> {
    let has_text = envelope.field("body_text").is_some();
    // The text of a mail is in both.
    for field in envelope.fields.iter().filter(|field| !has_text || field.name != "body_json") {
        if let Some(hidden) = Hidden::in_text(&field.value) {
            printer.line(&format!("  warning    in {}: {hidden}", shorten(&field.name, 40)))?;
        }
    }
    Ok(())
}

fn print(printer: &Printer, story: &EventStory) -> anyhow::Result<()> {
    let stored = &story.stored;
    let envelope = &stored.envelope;
    printer.line(&format!(
        "Event {} ({}, from source {})",
        envelope.id, envelope.trigger, envelope.source
    ))?;
    printer.line(&format!(
        "  arrived    {} UTC, number {}",
        envelope.received_at.to_log_form(),
        stored.seq
    ))?;
    if let Some(parent) = &envelope.parent {
        printer.line(&format!(
            "  triggered  by {} on event {parent}, depth {}",
            envelope.lineage.join(", then "),
            envelope.depth
        ))?;
    }
    if stored.id_conflict {
        printer.line(
            "  warning    an earlier event of this sender has the same id and other content",
        )?;
    }
    if stored.has_expired {
        printer.line("  fields     expired, only their digest is kept")?;
    }
    for field in &envelope.fields {
        printer.line(&format!("  {:<10} {}", field.name, shorten(&field.value, MAX_FIELD)))?;
    }
    print_hidden(printer, envelope)?;
    let met: Vec<&str> = stored
        .matched
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    printer.line(&format!(
        "  recipes    {}",
        if met.is_empty() { "none matched".to_owned() } else { met.join(", ") }
    ))?;
    if stored.is_pending {
        printer.line("  state      waiting for a decision")?;
    }
    for (record, trace) in &story.runs {
        if let JournalEntry::Decision { row, .. } = &record.entry {
            let recipe = if row.recipe.is_empty() { "the guard" } else { row.recipe.as_str() };
            printer.line(&format!(
                "Row {}: {recipe} decided {} ({}) at {} UTC",
                record.id,
                row.action,
                row.action_name,
                row.at.to_log_form()
            ))?;
            printer.line(&format!("  reason     {}", shorten(&row.reason, MAX_FIELD)))?;
        }
        match trace {
            Some(trace) => trace_view::print(printer, trace)?,
            None => printer.line("  trace      expired")?,
        }
    }
    for event in &story.triggered {
        printer.line(&format!(
            "Row {} triggered event {} ({}){}",
            event.journal_id,
            event.id,
            event.event_name.as_deref().unwrap_or("expired"),
            if event.is_pending { ", waiting for a decision" } else { "" }
        ))?;
    }
    for row in &story.outbox {
        printer.line(&format!(
            "Outbox {}: {} is {} {}",
            row.id,
            row.kind,
            row.state.as_str(),
            row.detail
        ))?;
        if let Some(task) = &row.task {
            printer.line(&format!("  task       {}", shorten(task, MAX_FIELD)))?;
        }
    }
    Ok(())
}
