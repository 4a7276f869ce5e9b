//! `thrall status`: counts, from the database alone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Outcome;
use super::printer::Printer;
use crate::clock::{Clock, SystemClock};
use crate::home::Home;
use crate::store::Reader;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Counters of refused events are named `refused.SOURCE.CODE`.
const REFUSED: &str = "refused.";
/// Counters of what may be gone of a log: truncated, replaced, skipped.
const LOG_GAPS: &str = "log.";

pub(super) fn run(home: &Path, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let reader = Reader::open(&home.state())?;
    let status = reader.status(SystemClock.now().minus(DAY))?;
    let mut refused: Map<String, Value> = Map::new();
    for (name, count) in &status.counters {
        if let Some((_, code)) = name.strip_prefix(REFUSED).and_then(|rest| rest.rsplit_once('.')) {
            let so_far = refused.get(code).and_then(Value::as_u64).unwrap_or(0);
            refused.insert(code.to_owned(), json!(so_far + count));
        }
    }
    let log_gaps: Map<String, Value> = status
        .counters
        .iter()
        .filter_map(|(name, count)| Some((name.strip_prefix(LOG_GAPS)?.to_owned(), json!(count))))
        .collect();
    if printer.is_json() {
        printer.json(&json!({
            "pending": status.pending_events,
            "journal_rows": status.journal_rows,
            "buffers": status.buffers,
            "outbox": status.outbox.iter().map(|(state, count)| (state.clone(), json!(count))).collect::<Map<_, _>>(),
            "refused": refused,
            "log_gaps": log_gaps,
            "decisions_24h": status.decisions.iter().map(|(action, by, count)| json!({"action": action, "by": by, "count": count})).collect::<Vec<_>>(),
        }))?;
        return Ok(Outcome::Done);
    }
    printer.line(&format!("events waiting    {}", status.pending_events))?;
    printer.line(&format!("journal rows      {}", status.journal_rows))?;
    for (state, count) in &status.outbox {
        printer.line(&format!("outbox {state:<11}{count}"))?;
    }
    for buffer in &status.buffers {
        printer.line(&format!(
            "buffer {:<11}{} waiting, {} being flushed",
            buffer.buffer, buffer.waiting, buffer.flushing
        ))?;
    }
    for (code, count) in &refused {
        printer.line(&format!("refused {code:<10}{count}"))?;
    }
    for (cause, count) in &log_gaps {
        printer.line(&format!("log {cause:<14}{count} times, lines may be gone"))?;
    }
    if !status.decisions.is_empty() {
        printer.line("decided in the last 24 hours:")?;
        let rows: Vec<Vec<String>> = status
            .decisions
            .iter()
            .map(|(action, by, count)| vec![action.clone(), by.clone(), count.to_string()])
            .collect();
        printer.table(&["action", "by", "count"], &rows)?;
    }
    Ok(Outcome::Done)
}
