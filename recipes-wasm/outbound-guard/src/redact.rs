//! A text without what was found in it.

use crate::policy::{Config, Policy};
use crate::scan::scan;

/// Taking one thing out can bring another to light; not more often than this.
const MOST_ROUNDS: usize = 4;

/// `[REDACTED:kind]` in place of each finding that is to be taken out. `None`:
/// something is left however often one tries.
pub(crate) fn redact(text: &str, config: &Config) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for finding in scan(&text, config) {
            if config.policy(finding.kind) != Policy::Redact {
                continue;
            }
            clean.push_str(text.get(done..finding.from)?);
            clean.push_str("[REDACTED:");
            clean.push_str(finding.kind.word());
            clean.push(']');
            done = finding.to;
        }
        if done == 0 {
            return Some(text);
        }
        clean.push_str(text.get(done..)?);
        text = clean;
    }
    None
}
