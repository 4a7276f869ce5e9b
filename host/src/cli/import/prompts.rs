//! The old prompts: files of `prompts/`, and what v2 kept in its database. Each
//! is read by the loader's own code before it is placed.

use super::old_folder::OldFile;
use super::old_forms::{self, Converted};
use super::places::{Place, Places};
use super::report::{Item, Word};
use crate::model::prompt::template::TemplateError;
use crate::model::prompt::{Prompt, PromptError};
use crate::strict_toml::{self, Problem, Sink};

/// A prompt that loads, with its row of the report.
pub(super) struct Good {
    pub(super) prompt: Prompt,
    pub(super) text: String,
    pub(super) item: Item,
    /// Whether it is to be written.
    pub(super) is_new: bool,
}

/// A prompt, or the row that says why it is none.
pub(super) type Read = Result<Good, Item>;

/// A file of the old folder.
pub(super) fn file(old: &OldFile, secrets: &[String], places: &Places) -> Read {
    let shown = format!("prompts/{}", old.name.escape_debug());
    let original = old
        .content
        .as_deref()
        .map_err(|problem| Item::broken(shown.clone(), vec![problem.clone()]))?;
    if super::holds_secret(original, secrets) {
        return Err(super::secret_item(shown));
    }
    let Converted { text, mut notes, .. } = old_forms::prompt(original);
    let prompt = Prompt::from_toml(&text)
        .map_err(|error| Item::broken(shown.clone(), problems(&shown, &text, &error)))?;
    if old.name.strip_suffix(".toml") != Some(prompt.name.as_str()) {
        let what =
            format!("it declares the name {:?}: file and prompt must have one name", prompt.name);
        return Err(Item::broken(shown.clone(), vec![Problem::in_file(&shown, what)]));
    }
    if text != original {
        let old_hash = crate::ids::Digest::of(original.as_bytes()).short();
        notes.push(format!("its hash was {old_hash}, as written now it is {}", prompt.hash));
    } else {
        notes.push(format!("its hash is {}", prompt.hash));
    }
    Ok(placed(shown, prompt, text, notes, places))
}

/// A row of `thrall_prompts`: bare text.
pub(super) fn row(name: &str, content: &str, secrets: &[String], places: &Places) -> Read {
    let shown = format!("thrall.db: prompt {}", name.escape_debug());
    if super::holds_secret(content, secrets) {
        return Err(super::secret_item(shown));
    }
    let problem = |error: &PromptError| {
        let what = Problem::in_file("thrall.db", error.to_string());
        Item::broken(shown.clone(), vec![what])
    };
    let bare = Prompt::from_text(name, content).map_err(|error| problem(&error))?;
    let text = format!(
        "# From thrall_prompts of the earlier thrall, where its hash was {}.\nname = {name:?}\ncontent = {}\n",
        bare.hash,
        quoted(content)
    );
    let prompt = Prompt::from_toml(&text).map_err(|error| problem(&error))?;
    let notes =
        vec![format!("the hash of its text is {}, that of the file {}", bare.hash, prompt.hash)];
    Ok(placed(shown, prompt, text, notes, places))
}

fn placed(
    shown: String,
    prompt: Prompt,
    text: String,
    mut notes: Vec<String>,
    places: &Places,
) -> Good {
    if let Some(hash) = &prompt.converted_hash {
        notes.push(format!(
            "it is in v2's form, {{tier}} and doubled braces, and stays so; as it is read here its hash is {hash}"
        ));
    }
    if let Err(error) = prompt.check_loadable() {
        notes.push(format!(
            "it stays a candidate, and recipes that name it wait for it: {error}; mend it and thrall prompt load prompts/{}.toml",
            prompt.name
        ));
    }
    let file = format!("{}.toml", prompt.name);
    let (result, detail) = match places.prompt(&file, text.as_bytes()) {
        Place::Free => (Word::Carried, format!("prompts/{file}")),
        Place::Replaced => (Word::Carried, format!("prompts/{file}, in place of the one there")),
        Place::Same => (Word::AlreadyThere, format!("prompts/{file}")),
        Place::Taken(what) => (
            Word::NeedsYou,
            format!(
                "prompts/{file} {what}: --force replaces it, or give this one another name and name that in the recipe's [evaluate]"
            ),
        ),
    };
    let is_new = result == Word::Carried;
    let item = Item { notes, ..Item::new(shown, result, detail) };
    Good { prompt, text, item, is_new }
}

/// A text as TOML writes it, readable where it can be.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.contains("'''") || text.ends_with('\'') || !text.chars().all(is_plain) {
        return toml::Value::String(text.to_owned()).to_string();
    }
    format!("'''\n{text}'''")
}

/// What is wrong with a prompt file, with its line.
fn problems(file: &str, text: &str, error: &PromptError) -> Vec<Problem> {
    let sink = Sink::new(file, text);
    let Some(root) = strict_toml::parse(&sink) else {
        return sink.into_parts().0;
    };
    match error {
        PromptError::Toml(said) => {
            // The library shows the line as well; a problem is one line.
            let line = said
                .split("line ")
                .nth(1)
                .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
                .and_then(|number| number.parse().ok());
            let what = said.lines().last().unwrap_or_default();
            vec![Problem { line: line.unwrap_or(1), ..Problem::in_file(file, what) }]
        }
        PromptError::Template {
            source:
                source @ (TemplateError::Unknown { line, .. }
                | TemplateError::Unclosed { line }
                | TemplateError::SingleBrace { line }),
            ..
        } => {
            let Some(content) = root.get("content") else { return Vec::new() };
            let at = content.span().start;
            let problem = Problem::at(file, text, at, format!("content, {source}"));
            // A text that begins on the line after its quotes.
            let opened = text.get(at..).unwrap_or_default().trim_start_matches(['"', '\'']);
            let offset = if opened.starts_with(['\n', '\r']) { *line } else { line - 1 };
            vec![Problem { line: problem.line + offset, column: 1, ..problem }]
        }
        other => vec![Problem::in_file(file, other.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_so_that_it_reads_the_same() {
        for text in [
            "plain",
            "two\nlines",
            "\nfirst empty",
            "it's",
            "end'",
            "'''",
            "a\r\nb",
            "tab\t\\ \"",
            "\u{1b}",
        ] {
            let parsed: toml::Table = format!("content = {}\n", quoted(text)).parse().unwrap();
            assert_eq!(parsed["content"].as_str(), Some(text));
        }
        assert_eq!(quoted("a\nb"), "'''\na\nb'''");
    }

    #[test]
    fn a_wrong_placeholder_is_named_with_the_line_of_the_file() {
        let said = |text: &str| {
            let error = Prompt::from_toml(text).unwrap_err();
            problems("prompts/x.toml", text, &error).remove(0).to_string()
        };
        let wrong = said("name = \"x\"\n\ncontent = \"\"\"Tier\n{{cascades.reason}}\"\"\"\n");
        assert!(wrong.starts_with("prompts/x.toml:4:1: content, line 2"), "{wrong}");
        assert!(
            said("name = \"x\"\ncontent = '''\n{{cascades.reason}}'''")
                .starts_with("prompts/x.toml:3:1:")
        );
        assert!(
            said("name = \"x\"\ncolour = 1\ncontent = \"y\"")
                .starts_with("prompts/x.toml:2:1: unknown field `colour`")
        );
        assert!(said("name = \"x\ncontent = \"y\"").starts_with("prompts/x.toml:1:"));
    }
}
