//! What an ingest came to: totals, and the table of decisions.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::printer::{Printer, shorten};
use crate::ids::JournalId;
use crate::store::{Accepted, JournalFilter, JournalLine, Store};

/// At most so many refusals are shown one by one.
const MAX_SHOWN: usize = 10;
/// At most so many decisions are put into the table.
const MAX_TABLE: u32 = 1000;

#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    accepted: u64,
    duplicates: u64,
    /// Accepted, although their id was seen before with other content.
    conflicts: u64,
    refused: u64,
    refusals: Vec<RefusedLine>,
    /// Decisions by action, and by who decided.
    actions: BTreeMap<String, u64>,
    decided_by: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decisions: Vec<JournalLine>,
}

#[derive(Debug, Serialize)]
struct RefusedLine {
    line: u64,
    code: String,
    reason: String,
}

impl Summary {
    pub(super) fn count_accepted(&mut self, accepted: &[Accepted]) {
        for one in accepted {
            match one {
                Accepted::New { conflict, .. } => self.count_new(*conflict),
                Accepted::Duplicate { .. } => self.count_duplicate(),
            }
        }
    }

    pub(super) fn count_new(&mut self, conflict: bool) {
        self.accepted += 1;
        self.conflicts += u64::from(conflict);
    }

    pub(super) fn count_duplicate(&mut self) {
        self.duplicates += 1;
    }

    pub(super) fn count_refused(&mut self, line: u64, code: &str, reason: String) {
        self.refused += 1;
        if self.refusals.len() < MAX_SHOWN {
            self.refusals.push(RefusedLine { line, code: code.to_owned(), reason });
        }
    }

    /// Reads what was decided since `first_row`.
    pub(super) fn read_decisions(&mut self, store: &Store, first_row: JournalId, with_table: bool) -> anyhow::Result<()> {
        for (action, eval_type, count) in store.decisions_since(first_row)? {
            *self.actions.entry(action).or_default() += count;
            *self.decided_by.entry(eval_type).or_default() += count;
        }
        if with_table {
            let filter = JournalFilter { after: Some(first_row), limit: MAX_TABLE, ..JournalFilter::default() };
            self.decisions = store.journal_list(&filter)?;
            self.decisions.reverse();
        }
        Ok(())
    }

    pub(super) fn print(&self, printer: &Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            printer.json(self)?;
        } else if !self.decisions.is_empty() {
            let rows: Vec<Vec<String>> = self.decisions.iter().map(row).collect();
            printer.table(&["id", "sender", "tier", "decided by", "action", "reason", "time"], &rows)?;
            printer.line("")?;
        }
        for refused in &self.refusals {
            printer.talk(&format!("line {}: refused ({}): {}", refused.line, refused.code, refused.reason));
        }
        printer.talk(&format!(
            "{} accepted, {} duplicates, {} refused{}",
            self.accepted,
            self.duplicates,
            self.refused,
            if self.conflicts > 0 { format!(", {} with an id seen before", self.conflicts) } else { String::new() }
        ));
        if !self.actions.is_empty() {
            printer.talk(&format!("actions: {}", counts(&self.actions)));
            printer.talk(&format!("decided by: {}", counts(&self.decided_by)));
        }
        Ok(())
    }
}

fn row(line: &JournalLine) -> Vec<String> {
    let decided_by = if line.recipe.is_empty() {
        "guard".to_owned()
    } else if line.stage.is_empty() {
        line.eval_type.clone()
    } else {
        format!("{} ({})", line.eval_type, line.stage)
    };
    vec![
        line.envelope_id.clone(),
        line.sender_key.clone(),
        line.tier.clone(),
        decided_by,
        line.action_name.clone(),
        shorten(&line.reason, 60),
        format!("{:.1} ms", line.wall_us as f64 / 1000.0),
    ]
}

fn counts(map: &BTreeMap<String, u64>) -> String {
    map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
