//! What the operator allows a recipe: `grants/NAME.toml`, read strictly, and
//! the checks against it. The file has exactly the keys that are enforced:
//! a line that reads like a bound and binds nothing would be a lie. Pure.
//!
//! Everything is denied that is not granted, but for `log` and `drop`, which
//! touch nothing but the journal. A denial is the line that is missing, whole,
//! to be put in the place of the one that is there.

use std::collections::BTreeSet;

use crate::ids::{Digest, nearest};
use crate::operation::Operation;
use crate::recipes::{Mode, canonical};
use crate::strict_toml::table::Hint;
use crate::strict_toml::{self, Placed, Problem, Sink, Table};

/// Interfaces that a component may import and that need a grant: those of
/// `wit/host.wit` without `log`.
pub const INTERFACES: [&str; 5] =
    ["context-read", "journal-read", "breaker-read", "model", "cockpit-read"];

/// What needs no grant.
const FREE_OPERATIONS: [&str; 2] = ["log", "drop"];
const FREE_INTERFACE: &str = "log";

const KEYS: [&str; 3] = ["mode", "imports", "operations"];
const NOT_YET: &str = "this version enforces mode, imports and operations alone, and takes no line that it would not enforce";
const HINTS: [Hint<'static>; 8] = [
    ("recipe", NOT_YET),
    ("follow", NOT_YET),
    ("reads", NOT_YET),
    ("budget", NOT_YET),
    ("limits", NOT_YET),
    ("shared", NOT_YET),
    ("import", "the key is imports"),
    ("operation", "the key is operations"),
];

/// One recipe's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    recipe: String,
    /// How far the recipe may act, whatever its file says.
    pub mode: Mode,
    pub imports: BTreeSet<String>,
    /// Kinds, as [`Operation::KINDS`] names them.
    pub operations: BTreeSet<String>,
    /// Of what is granted; not of how the file is written.
    pub digest: Digest,
}

impl Grant {
    fn new(
        recipe: &str,
        mode: Mode,
        imports: BTreeSet<String>,
        operations: BTreeSet<String>,
    ) -> Self {
        let content =
            serde_json::json!({"mode": mode, "imports": &imports, "operations": &operations});
        let digest = Digest::of_parts(&[
            b"thrall grant 1",
            recipe.as_bytes(),
            canonical::text(&content).as_bytes(),
        ]);
        Self { recipe: recipe.to_owned(), mode, imports, operations, digest }
    }

    /// The grant of a recipe that has none: manual mode, no imports, no
    /// operations but `log` and `drop`.
    pub fn nothing(recipe: &str) -> Self {
        Self::new(recipe, Mode::Manual, BTreeSet::new(), BTreeSet::new())
    }

    /// Whether the recipe may have this operation done.
    ///
    /// # Errors
    /// The line that is missing from the grant.
    pub fn check_operation(&self, operation: &Operation) -> Result<(), String> {
        let kind = operation.kind();
        let needed = if can_wake(operation) { vec![kind, WAKE] } else { vec![kind] };
        let allowed =
            |kind: &&str| FREE_OPERATIONS.contains(kind) || self.operations.contains(*kind);
        match needed.iter().find(|kind| !allowed(kind)) {
            Some(missing) => Err(self.missing_line("operations", &self.operations, missing)),
            None => Ok(()),
        }
    }

    /// Whether the recipe's components may call this interface.
    ///
    /// # Errors
    /// The line that is missing from the grant.
    pub fn check_import(&self, interface: &str) -> Result<(), String> {
        if interface == FREE_INTERFACE || self.imports.contains(interface) {
            return Ok(());
        }
        Err(self.missing_line("imports", &self.imports, interface))
    }

    /// The whole line as it would have to be: TOML refuses a key twice, so a
    /// second line with only the new word could not be pasted.
    fn missing_line(&self, key: &str, granted: &BTreeSet<String>, missing: &str) -> String {
        let words: Vec<String> = granted
            .iter()
            .map(String::as_str)
            .chain([missing])
            .map(|word| format!("\"{word}\""))
            .collect();
        format!("{key} = [{}]  # grants/{}.toml", words.join(", "), self.recipe)
    }
}

const WAKE: &str = "wake";

/// A compile with a threshold or keywords wakes the agent when it flushes, so
/// it needs the grant for that as well.
fn can_wake(operation: &Operation) -> bool {
    matches!(operation, Operation::Compile { summon_threshold, summon_keywords, .. }
        if *summon_threshold > 0 || !summon_keywords.is_empty())
}

/// The name under which problems of a grant file are reported.
pub fn file_name(recipe: &str) -> String {
    format!("grants/{recipe}.toml")
}

/// Reads `grants/RECIPE.toml` as it lies on disk.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn parse_bytes(recipe: &str, bytes: &[u8]) -> Result<Grant, Vec<Problem>> {
    let text = strict_toml::text_of(&file_name(recipe), bytes).map_err(|problem| vec![problem])?;
    parse(recipe, text)
}

/// Reads a grant.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn parse(recipe: &str, text: &str) -> Result<Grant, Vec<Problem>> {
    let file = file_name(recipe);
    let sink = Sink::new(&file, text);
    let grant = strict_toml::parse(&sink).map(|root| read(recipe, &Table::top(&sink, &root)));
    let (errors, _) = sink.into_parts();
    match grant {
        Some(grant) if errors.is_empty() => Ok(grant),
        _ => Err(errors),
    }
}

fn read(recipe: &str, top: &Table<'_>) -> Grant {
    top.only(&KEYS, &HINTS);
    let mode = top.word("mode", &Mode::WORDS).and_then(Mode::from_word).unwrap_or(Mode::Manual);
    Grant::new(
        recipe,
        mode,
        words(top, "imports", &INTERFACES),
        words(top, "operations", &Operation::KINDS),
    )
}

/// A list of known words.
fn words(top: &Table<'_>, key: &str, valid: &[&str]) -> BTreeSet<String> {
    let words = top.texts(key).unwrap_or_default();
    words
        .into_iter()
        .filter(|word| is_known(top, key, *word, valid))
        .map(|word| word.value.to_owned())
        .collect()
}

fn is_known(top: &Table<'_>, key: &str, word: Placed<&str>, valid: &[&str]) -> bool {
    if valid.contains(&word.value) || (key == "imports" && word.value == FREE_INTERFACE) {
        return true;
    }
    let synonym = match word.value {
        "summon" => Some("wake"),
        "act" => Some("skill"),
        _ => nearest(word.value, valid.iter().copied()),
    };
    let problem = Problem::at(
        top.sink().file(),
        top.sink().text(),
        word.at,
        format!("{key} holds {:?}", word.value),
    );
    top.sink().add(Problem {
        expected: Some(format!("one of {}", valid.join(", "))),
        nearest: synonym.map(str::to_owned),
        ..problem
    });
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Operation {
        Operation::Reply { body: "hi".to_owned() }
    }

    fn messages(text: &str) -> Vec<String> {
        parse("mail-triage", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_is_granted_is_allowed() {
        let grant = parse(
            "mail-triage",
            "mode = \"supervised\"\nimports = [\"model\"]\noperations = [\"compile\", \"wake\"]",
        )
        .unwrap();
        assert_eq!(grant.mode, Mode::Supervised);
        assert!(grant.check_import("model").is_ok() && grant.check_import("log").is_ok());
        assert!(grant.check_import("journal-read").is_err());
        assert!(grant.check_operation(&Operation::Log { message: String::new() }).is_ok());
        assert!(grant.check_operation(&Operation::Drop { reason: String::new() }).is_ok());
        assert!(grant.check_operation(&reply()).is_err());
    }

    #[test]
    fn a_denial_is_the_line_to_paste() {
        let none = Grant::nothing("mail-triage");
        assert_eq!(
            none.check_operation(&reply()).unwrap_err(),
            r#"operations = ["reply"]  # grants/mail-triage.toml"#
        );
        assert_eq!(
            none.check_import("model").unwrap_err(),
            r#"imports = ["model"]  # grants/mail-triage.toml"#
        );
        let some = parse("mail-triage", "operations = [\"compile\"]").unwrap();
        let line = some.check_operation(&reply()).unwrap_err();
        assert_eq!(line, r#"operations = ["compile", "reply"]  # grants/mail-triage.toml"#);
        assert!(parse("mail-triage", &line).unwrap().check_operation(&reply()).is_ok());
    }

    #[test]
    fn absent_keys_grant_nothing() {
        let grant = parse("x", "").unwrap();
        assert_eq!(grant, Grant::nothing("x"));
        assert_eq!(grant.mode, Mode::Manual);
    }

    #[test]
    fn a_bound_that_is_not_enforced_is_refused() {
        let found = messages("[reads]\njournal = { scope = \"own\" }\n[budget]\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("grants/mail-triage.toml:1:2: unknown key \"reads\""),
            "{}",
            found[0]
        );
        assert!(found[0].contains("enforces mode, imports and operations alone"), "{}", found[0]);
        let table = messages("[operations]\ncompile = { buffers = [\"x\"] }\n");
        assert!(
            table[0].contains("operations is a table: expected a list of strings"),
            "{}",
            table[0]
        );
    }

    #[test]
    fn wrong_words_are_named_with_the_right_one() {
        let found = messages(
            "operations = [\"summon\", \"repli\"]\nimports = [\"journal\"]\nmode = \"auto\"\n",
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].ends_with("did you mean \"wake\"?"), "{}", found[0]);
        assert!(found[1].starts_with("grants/mail-triage.toml:1:25:"), "{}", found[1]);
        assert!(found[1].ends_with("did you mean \"reply\"?"), "{}", found[1]);
        assert!(found[2].ends_with("did you mean \"journal-read\"?"), "{}", found[2]);
        assert!(found[3].contains("disabled, manual, supervised, automated"), "{}", found[3]);
    }

    #[test]
    fn the_digest_follows_what_is_granted_not_how_it_is_written() {
        let digest = |text: &str| parse("x", text).unwrap().digest;
        let one = digest("mode = \"manual\"\noperations = [\"wake\", \"reply\"]");
        assert_eq!(one, digest("# a comment\noperations = [\"reply\", \"wake\", \"wake\"]"));
        assert_ne!(one, digest("operations = [\"reply\"]"));
        assert_ne!(one, digest("mode = \"automated\"\noperations = [\"wake\", \"reply\"]"));
    }
}
