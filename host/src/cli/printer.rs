//! How things reach a screen: data on standard output, talk on standard error,
//! and nothing from outside (message text, model output, guest logs) with a
//! terminal escape in it.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Outcome;

/// Writes results. `json` switches data, never talk.
pub struct Printer {
    json: bool,
}

impl Printer {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One JSON document on standard output.
    ///
    /// # Errors
    /// When standard output cannot be written; so for all of these.
    pub fn json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        writeln!(io::stdout().lock(), "{text}")?;
        Ok(())
    }

    /// One JSON document in one line (streams).
    ///
    /// # Errors
    /// See [`Printer::json`].
    pub fn json_line<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        writeln!(io::stdout().lock(), "{text}")?;
        Ok(())
    }

    /// One line of data, whatever is in it: escapes and line breaks become
    /// visible, so that no value can pose as a line of ours.
    ///
    /// # Errors
    /// See [`Printer::json`].
    pub fn line(&self, text: &str) -> anyhow::Result<()> {
        writeln!(io::stdout().lock(), "{}", plain(text))?;
        Ok(())
    }

    /// A table of data, as wide as the terminal.
    ///
    /// # Errors
    /// See [`Printer::json`].
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(header.iter().map(|cell| cell.to_uppercase()));
        for row in rows {
            table.add_row(row.iter().map(|cell| plain(cell)));
        }
        let text = table.to_string();
        let mut out = io::stdout().lock();
        for line in text.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// A line of talk on standard error. Never fails the command.
    pub fn talk(&self, text: &str) {
        let mut err = io::stderr().lock();
        for line in text.split('\n') {
            drop(writeln!(err, "{}", plain(line)));
        }
    }

    /// Says why not.
    pub fn no(&self, why: &str) -> Outcome {
        self.talk(why);
        Outcome::No
    }

    /// An error with its causes, outermost first.
    pub fn error(&self, error: &anyhow::Error) {
        let mut text = format!("error: {error}");
        for cause in error.chain().skip(1) {
            text.push_str(&format!("\n  because {cause}"));
        }
        self.talk(&text);
    }
}

/// A text without control characters, terminal escapes, and the marks that
/// reverse or hide text. Each becomes one visible `·`, so that nothing
/// disappears unseen.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) { '·' } else { c }).collect()
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A length of time in its largest unit.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The first `max` characters, with an ellipsis where something was cut.
pub fn shorten(text: &str, max: usize) -> String {
    let mut kept: String = text.chars().take(max).collect();
    if text.chars().count() > max {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_reversals_become_visible() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\u{7}\u{200b}d"), "a·[2Jb·c··d");
    }

    #[test]
    fn a_span_has_one_unit() {
        let spans = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(Duration::from_secs).map(span);
        assert_eq!(spans, ["0s", "59s", "1m", "59m", "1h", "47h", "2d"]);
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shorten("ééééé", 3), "éé…");
        assert_eq!(shorten("abc", 3), "abc");
    }
}
