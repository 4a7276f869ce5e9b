//! `thrall status`: counts, from the database alone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Outcome;
use super::printer::Printer;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
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
    // A file that cannot be read is the business of `doctor`.
    let switches =
        Config::load(&home.config_file()).map(|config| config.switches()).unwrap_or_default();
    if printer.is_json() {
        printer.json(&json!({
            "switches": switches,
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
    for switch in &switches {
        printer.line(&line("switch", switch))?;
    }
    printer.line(&line("events waiting", &status.pending_events.to_string()))?;
    printer.line(&line("journal rows", &status.journal_rows.to_string()))?;
    for (state, count) in &status.outbox {
        printer.line(&line(&format!("outbox {state}"), &count.to_string()))?;
    }
    for buffer in &status.buffers {
        let items = format!("{} waiting, {} being flushed", buffer.waiting, buffer.flushing);
        printer.line(&line(&format!("buffer {}", buffer.buffer), &items))?;
    }
    for (code, count) in &refused {
        printer.line(&line(&format!("refused {code}"), &count.to_string()))?;
    }
    for (cause, count) in &log_gaps {
        let gaps = format!("{count} times, lines may be gone");
        printer.line(&line(&format!("log {cause}"), &gaps))?;
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

/// What is counted, and beside it how much; never without a space between.
fn line(what: &str, value: &str) -> String {
    format!("{what:<17} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_does_not_run_into_its_count() {
        assert_eq!(line("journal rows", "7"), "journal rows      7");
        assert_eq!(line("buffer mail-digest-of-the-day", "3"), "buffer mail-digest-of-the-day 3");
    }
}
