//! What the program says about itself: tracing on standard error for people
//! who look, `state/thrall.log` for scripts that grep, in
//! the form of the earlier thrall.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;

use crate::breakers::met;
use crate::capabilities::standing_breakers::{Change, What};
use crate::clock::TimestampMs;
use crate::journal::{Commit, EvalType};
use crate::outbox::Performed;
use crate::pipeline::guard::{BREAKER_BLOCKED, QUARANTINED};
use crate::store::{Outcome, WAKE};

/// Starts tracing. `THRALL_LOG` takes precedence over `-v`.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "thrall=info,warn",
        _ => "thrall=debug,info",
    };
    let filter = EnvFilter::try_from_env("THRALL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Fails only when tracing runs already, as in tests.
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
    );
}

/// The longest detail of a log line, in characters.
const MAX_DETAIL: usize = 500;

/// `state/thrall.log`: one line per event, in the form of the earlier thrall.
pub struct EventLog {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl EventLog {
    /// Opens the log for appending. A log that cannot be opened is reported
    /// once and then left alone: it is a convenience, the journal is the record.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), file: Mutex::new(open_append(path)) }
    }

    /// Opens the file anew, after it was rotated away (SIGHUP).
    pub fn reopen(&self) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = open_append(&self.path);
    }

    /// The lines of one decision: `TRIAGE` (or what took its place) for mail,
    /// and the `PIPELINE` line for every run.
    pub fn decision(&self, commit: &Commit) {
        let (row, trace) = (&commit.row, &commit.trace);
        let sender_key = if row.sender_key.is_empty() { "-" } else { row.sender_key.as_str() };
        let wall = row.wall_us / 1000;
        let at = row.at.to_log_form();
        let mut lines = String::new();
        if row.action_name == BREAKER_BLOCKED {
            let stopped = row.reason.strip_prefix(met::PREFIX).unwrap_or(&row.reason);
            lines.push_str(&format!(
                "{at} [BREAKER_BLOCKED] {sender_key} breaker={}\n",
                one_line(stopped)
            ));
        } else if row.action_name == QUARANTINED {
            lines.push_str(&format!("{at} [QUARANTINED] {sender_key} {}\n", one_line(&row.reason)));
        } else if row.trigger == "on_mail" {
            let event = if row.action_name == "skip_invalid" { "SKIP_INVALID" } else { "TRIAGE" };
            lines.push_str(&format!(
                "{at} [{event}] {sender_key} action={} tier={} wall={wall}ms reason={}\n",
                row.action,
                row.tier.as_str(),
                one_line(&row.reason)
            ));
            if row.eval_type == EvalType::RateLimit {
                lines.push_str(&format!(
                    "{at} [SKIP_RATE] {sender_key} {}\n",
                    one_line(&row.reason)
                ));
            }
        }
        if !row.recipe.is_empty() {
            lines.push_str(&format!(
                "{at} PIPELINE {}: filter={} eval={}->{} action={} wall={wall}ms\n",
                row.recipe,
                trace.filter.decision,
                row.eval_type.as_str(),
                row.action,
                row.action_name
            ));
        }
        if let Some(looped) = &commit.guarding.looped {
            let reason = one_line(&looped.row.reason);
            lines.push_str(&format!("{at} [LOOP_DETECTED] {sender_key} {reason}\n"));
        }
        if let Some(alert) = &commit.guarding.alert {
            lines.push_str(&format!(
                "{at} [KNOCK_ALERT] {sender_key} {}\n",
                one_line(&alert.reason)
            ));
        }
        self.write(&lines);
    }

    /// A line for each wake that did not get through. One that is tried again
    /// is told of once.
    pub fn performed(&self, performed: &[Performed], now: TimestampMs) {
        let at = now.to_log_form();
        let lines: String = performed
            .iter()
            .filter(|one| one.row.kind == WAKE)
            .filter_map(|one| match &one.outcome {
                Outcome::Failed { detail } | Outcome::Uncertain { detail } => Some((one, detail)),
                Outcome::Retry { detail, .. } if one.row.attempts == 0 => Some((one, detail)),
                _ => None,
            })
            .map(|(one, detail)| {
                format!("{at} [WAKE_FAIL] {} {}\n", one.row.recipe, one_line(detail))
            })
            .collect();
        self.write(&lines);
    }

    /// A line for each breaker that was tripped or is gone.
    pub fn breakers(&self, changes: &[Change]) {
        let lines: String = changes
            .iter()
            .map(|change| {
                let (event, detail) = match change.what {
                    What::Tripped => ("BREAKER_TRIP", &change.reason),
                    What::Cleared => ("BREAKER_CLEARED", &change.by),
                    What::Expired => ("BREAKER_EXPIRED", &change.by),
                };
                let at = change.at.to_log_form();
                format!("{at} [{event}] {} {}\n", change.target, one_line(detail))
            })
            .collect();
        self.write(&lines);
    }

    fn write(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = file.as_mut()
            && let Err(error) = open.write_all(lines.as_bytes())
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot write the event log any more");
            *file = None;
        }
    }
}

fn open_append(path: &Path) -> Option<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .inspect_err(
            |error| tracing::warn!(path = %path.display(), %error, "cannot open the event log"),
        )
        .ok()
}

/// Bounded, and without anything that would start a new line or an escape.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect()
}
