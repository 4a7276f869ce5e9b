//! What an ingest came to: totals, and the table of decisions.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::printer::{Printer, shorten};
use crate::ids::JournalId;
use crate::journal::DecisionRow;
use crate::store::{Accepted, JournalEntry, Reader};

/// At most so many refusals are shown one by one.
const MAX_SHOWN: usize = 10;
/// At most so many decisions are put into the table.
const MAX_TABLE: usize = 1000;
/// Journal rows that are read at once.
const PAGE: u32 = 1000;

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
    decisions: Vec<Decision>,
}

/// A row of the table.
#[derive(Debug, Serialize)]
struct Decision {
    envelope_id: String,
    #[serde(flatten)]
    row: Box<DecisionRow>,
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

    pub(super) fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// Reads what was decided after `first_row`.
    pub(super) fn read_decisions(
        &mut self,
        reader: &Reader,
        first_row: JournalId,
        with_table: bool,
    ) -> anyhow::Result<()> {
        let mut after = first_row;
        loop {
            let page = reader.tail(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for record in page {
                let JournalEntry::Decision { envelope_id, row } = record.entry else { continue };
                *self.actions.entry(row.action_name.clone()).or_default() += 1;
                *self.decided_by.entry(row.eval_type.as_str().to_owned()).or_default() += 1;
                if with_table && self.decisions.len() < MAX_TABLE {
                    self.decisions.push(Decision { envelope_id, row });
                }
            }
        }
        // As they came in, not as they were decided: lanes overtake each other.
        self.decisions.sort_by_key(|decision| decision.row.envelope_seq);
        Ok(())
    }

    pub(super) fn print(&self, printer: &Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            printer.json(self)?;
        } else if !self.decisions.is_empty() {
            let rows: Vec<Vec<String>> = self.decisions.iter().map(row).collect();
            printer.table(
                &["id", "sender", "tier", "decided by", "action", "reason", "time"],
                &rows,
            )?;
            printer.line("")?;
        }
        for refused in &self.refusals {
            printer.talk(&format!(
                "line {}: refused ({}): {}",
                refused.line, refused.code, refused.reason
            ));
        }
        printer.talk(&format!(
            "{} accepted, {} duplicates, {} refused{}",
            self.accepted,
            self.duplicates,
            self.refused,
            if self.conflicts > 0 {
                format!(", {} with an id seen before", self.conflicts)
            } else {
                String::new()
            }
        ));
        if !self.actions.is_empty() {
            printer.talk(&format!("actions: {}", counts(&self.actions)));
            printer.talk(&format!("decided by: {}", counts(&self.decided_by)));
        }
        Ok(())
    }
}

fn row(decision: &Decision) -> Vec<String> {
    let row = &decision.row;
    let decided_by = if row.recipe.is_empty() { "guard" } else { row.eval_type.as_str() };
    vec![
        decision.envelope_id.clone(),
        row.sender_key.clone(),
        row.tier.as_str().to_owned(),
        decided_by.to_owned(),
        row.action_name.clone(),
        shorten(&row.reason, 60),
        format!("{}.{} ms", row.wall_us / 1000, row.wall_us % 1000 / 100),
    ]
}

fn counts(map: &BTreeMap<String, u64>) -> String {
    map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
