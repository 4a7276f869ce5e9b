//! `thrall recipe limits`: what every component runs under, read from the
//! constants that are enforced. The table in `guest-sdk/AUTHORING.md` is this one.

use serde::Serialize;

use super::Outcome;
use super::printer::Printer;
use crate::envelope::limits::{MAX_ENVELOPE_BYTES, MAX_FIELDS, MAX_NAME_BYTES};
use crate::envelope::log_line::MAX_LINE_BYTES;
use crate::operation::{MAX_OPERATION_BYTES, MAX_OPERATIONS};
use crate::pipeline::gate::deadline;
use crate::recipes::LogTrigger;
use crate::stage::{HostRequest, JournalQuery, StageLimits};
use crate::verdict::Situation;
use crate::wasm::{MAX_ACTION_BYTES, MAX_COMPONENT_BYTES, MAX_REASON_CHARS};

/// A limit, with what meets who goes beyond it.
#[derive(Debug, Serialize)]
struct Limit {
    of: &'static str,
    limit: String,
    beyond: &'static str,
}

pub(super) fn run(as_markdown: bool, printer: &Printer) -> anyhow::Result<Outcome> {
    let limits = limits();
    if printer.is_json() {
        printer.json(&limits)?;
    } else if as_markdown {
        printer.line("| what | limit | beyond it |")?;
        printer.line("|---|---|---|")?;
        for Limit { of, limit, beyond } in limits {
            printer.line(&format!("| {of} | {limit} | {beyond} |"))?;
        }
    } else {
        let rows: Vec<Vec<String>> = limits
            .into_iter()
            .map(|Limit { of, limit, beyond }| vec![of.to_owned(), limit, beyond.to_owned()])
            .collect();
        printer.table(&["what", "limit", "beyond it"], &rows)?;
    }
    Ok(Outcome::Done)
}

fn limits() -> Vec<Limit> {
    let (decider, action) = (StageLimits::decider(), StageLimits::action());
    let limit = |of, limit: String, beyond| Limit { of, limit, beyond };
    let wait = |request: &HostRequest| format!("{} ms", deadline(request).as_millis());
    let text = String::new;
    vec![
        limit("component file", bytes(MAX_COMPONENT_BYTES), "not loaded"),
        limit(
            "memory of one call",
            format!(
                "{}, by grant up to {}",
                bytes(decider.memory_bytes),
                bytes(StageLimits::MAX_MEMORY_BYTES)
            ),
            "fault out-of-memory",
        ),
        limit("fuel, filter and hotwire", number(decider.fuel), "fault out-of-fuel"),
        limit("fuel, action", number(action.fuel), "fault out-of-fuel"),
        limit(
            "time in the component itself, host calls not counted",
            format!("{} s", decider.guest_time.as_secs()),
            "fault timed-out",
        ),
        limit(
            "the whole run on an event, host calls counted",
            format!("{} s", StageLimits::RUN_TIME.as_secs()),
            "fault timed-out",
        ),
        limit("host calls of a run", decider.host_calls.to_string(), "error budget"),
        limit(
            "wait for context, journal or breaker",
            wait(&HostRequest::ContextFlag { key: text() }),
            "error failed",
        ),
        limit(
            "wait for cockpit, classify or embed",
            wait(&HostRequest::ModelEmbed { text: text() }),
            "error failed",
        ),
        limit(
            "wait for complete",
            wait(&HostRequest::ModelComplete { prompt: text(), text: text(), max_tokens: 0 }),
            "error failed",
        ),
        limit("rows of one journal answer", JournalQuery::MAX_LIMIT.to_string(), "cut"),
        limit(
            "age of journal rows",
            format!("{} days", JournalQuery::MAX_AGE.as_secs() / (24 * 3600)),
            "not counted",
        ),
        limit(
            "bytes handed over in one call",
            bytes(StageLimits::MAX_COPY_BYTES),
            "fault bad-answer",
        ),
        limit(
            "log lines of one call",
            StageLimits::MAX_LOG_LINES.to_string(),
            "dropped and counted",
        ),
        limit("a log line", bytes(StageLimits::MAX_LOG_LINE_BYTES), "cut"),
        limit("operations of a plan", MAX_OPERATIONS.to_string(), "fault bad-answer"),
        limit("one operation", bytes(MAX_OPERATION_BYTES), "fault bad-answer"),
        limit("a verdict's reason", format!("{MAX_REASON_CHARS} characters"), "fault bad-answer"),
        limit("an action's name", format!("1 to {MAX_ACTION_BYTES} bytes"), "fault bad-answer"),
        limit("fields of a verdict or an inject", MAX_FIELDS.to_string(), "fault bad-answer"),
        limit("a field's name", bytes(MAX_NAME_BYTES), "fault bad-answer"),
        limit(
            "an event, names and values of all fields",
            bytes(MAX_ENVELOPE_BYTES),
            "not accepted",
        ),
        limit("a line of a watched log", bytes(MAX_LINE_BYTES), "cut, field truncated"),
        limit(
            "groups of a log's pattern",
            LogTrigger::MAX_GROUPS.to_string(),
            "the recipe is rejected",
        ),
        limit("situation.config", bytes(Situation::MAX_CONFIG_BYTES), "the recipe is rejected"),
        limit(
            "handles of a component with WASI",
            StageLimits::MAX_TABLE_ENTRIES.to_string(),
            "fault trapped",
        ),
    ]
}

fn bytes(count: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = KIB * KIB;
    match count {
        0 => "0 bytes".to_owned(),
        _ if count.is_multiple_of(MIB) => format!("{} MiB", count / MIB),
        _ if count.is_multiple_of(KIB) => format!("{} KiB", count / KIB),
        _ => format!("{count} bytes"),
    }
}

/// With a separator for thousands.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_readable() {
        assert_eq!(bytes(32 * 1024 * 1024), "32 MiB");
        assert_eq!(bytes(4096), "4 KiB");
        assert_eq!(bytes(128), "128 bytes");
        assert_eq!(number(50_000_000), "50,000,000");
        assert_eq!(number(999), "999");
    }
}
