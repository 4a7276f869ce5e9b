//! What `thrall import` says: a row for each thing of the old folder, with one
//! of four words that scripts can rely on. How it is printed is here as well;
//! what the rows say is decided elsewhere.

use serde::Serialize;

use crate::cli::printer::Printer;
use crate::strict_toml::Problem;

/// What became of a thing. In the order of the report: what needs a person stands
/// last, where it is not scrolled away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Word {
    /// It was not carried over, and nobody has to do anything about it.
    #[serde(rename = "left out")]
    LeftOut,
    /// The home says the same already.
    #[serde(rename = "already there")]
    AlreadyThere,
    /// It is in the home now.
    #[serde(rename = "carried")]
    Carried,
    /// It was not carried over, and somebody has to decide or to do something.
    #[serde(rename = "needs you")]
    NeedsYou,
}

impl Word {
    const ALL: [Self; 4] = [Self::Carried, Self::AlreadyThere, Self::LeftOut, Self::NeedsYou];

    fn as_str(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::AlreadyThere => "already there",
            Self::LeftOut => "left out",
            Self::NeedsYou => "needs you",
        }
    }
}

/// One thing of the old folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    /// A key of plugin.toml, or a file as it is called in the old folder.
    pub(super) what: String,
    pub(super) result: Word,
    /// Where it is now, or why it is not.
    pub(super) detail: String,
    /// What was converted, granted, or is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// Why a file does not load, with file and line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<Problem>,
}

impl Item {
    pub(super) fn new(what: impl Into<String>, result: Word, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            result,
            detail: detail.into(),
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn left_out(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Word::LeftOut, why)
    }

    pub(super) fn needs_you(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Word::NeedsYou, why)
    }

    /// A file that does not load.
    pub(super) fn broken(what: impl Into<String>, problems: Vec<Problem>) -> Self {
        let detail = "does not load, see below; left out until it does";
        Self { problems, ..Self::needs_you(what, detail) }
    }
}

/// Everything that was found, and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) from: String,
    pub(super) home: String,
    /// Nothing was written: the words say what would be.
    pub(super) dry_run: bool,
    pub(super) items: Vec<Item>,
    /// Lines for thrall.toml, which was not changed.
    pub(super) paste: Vec<String>,
}

impl Report {
    pub(super) fn needs_somebody(&self) -> bool {
        self.items.iter().any(|item| item.result == Word::NeedsYou)
    }

    fn count(&self, word: Word) -> usize {
        self.items.iter().filter(|item| item.result == word).count()
    }

    /// The table for people, or the whole as JSON.
    pub(super) fn print(&self, printer: &Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            return printer.json(self);
        }
        let rows: Vec<Vec<String>> = self
            .items
            .iter()
            .map(|item| {
                vec![item.what.clone(), item.result.as_str().to_owned(), item.detail.clone()]
            })
            .collect();
        printer.table(&["what", "result", "where or why"], &rows)?;
        for item in &self.items {
            for problem in &item.problems {
                printer.line(&problem.to_string())?;
            }
            for note in &item.notes {
                printer.line(&format!("{}: {note}", item.what))?;
            }
        }
        if !self.paste.is_empty() {
            printer.line("thrall.toml was not changed: it has keys of its own. To take these over, put them into it (or import with --force):")?;
            for line in &self.paste {
                printer.line(&format!("    {line}"))?;
            }
        }
        let counts: Vec<String> = Word::ALL
            .into_iter()
            .map(|word| format!("{} {}", self.count(word), word.as_str()))
            .collect();
        let before = if self.dry_run { "nothing was written; it would be: " } else { "" };
        printer.talk(&format!("{before}{}", counts.join(", ")));
        Ok(())
    }
}
