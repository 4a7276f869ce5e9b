//! Forms that the earlier thrall took and this one does not, written anew, each
//! with a sentence about it. Only where both mean the same beyond doubt; what
//! does not load for another reason is left to the loader to name. Pure: text
//! in, text out.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::strict_toml::{self, Sink};

/// A text as it loads here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Converted {
    pub(super) text: String,
    /// What was written anew.
    pub(super) notes: Vec<String>,
    /// Lines that were put before the author's own.
    pub(super) new_lines: usize,
}

/// The line that is put before a recipe without a mode.
const MODE: &str = "mode = \"automated\"\n";

/// Sections in which a name between braces is a value to be filled in. In
/// `[filter]` a bare name is a field of the event, then as now.
const FILLED: [&str; 3] = ["evaluate", "hotwires", "actions"];

/// A recipe file.
pub(super) fn recipe(file: &str, text: &str) -> Converted {
    let mut converted = Converted { text: text.to_owned(), notes: Vec::new(), new_lines: 0 };
    let sink = Sink::new(file, text);
    let Some(root) = strict_toml::parse(&sink) else { return converted };
    let gathered = gathered(&root);
    let mut edits = Vec::new();
    for (_, value) in root.iter().filter(|(key, _)| FILLED.contains(&key.get_ref().as_ref())) {
        each_string(value, &mut |start, end| {
            let written = text.get(start..end).unwrap_or_default();
            edits.extend(
                bare_places(written, &gathered)
                    .into_iter()
                    .map(|(from, to, name)| (start + from, start + to, name)),
            );
        });
    }
    // From the end, so that the places before stay where they are.
    edits.sort_unstable();
    for (from, to, name) in edits.into_iter().rev() {
        let old = converted.text.get(from..to).unwrap_or_default().to_owned();
        converted.text.replace_range(from..to, &format!("{{{{gather.{name}}}}}"));
        converted.notes.push(format!("{old} is written {{{{gather.{name}}}}} now"));
    }
    converted.notes.reverse();
    converted.notes.dedup();
    if root.get("mode").is_none() {
        converted.text.insert_str(0, MODE);
        converted.new_lines = 1;
        converted.notes.push(
            "mode = \"automated\" was the earlier default and is written out now: here it would be manual"
                .to_owned(),
        );
    }
    converted
}

/// A prompt file: `{{envelope.gather.NAME}}` is `{{gather.NAME}}`.
pub(super) fn prompt(text: &str) -> Converted {
    const OLD: &str = "{{envelope.gather.";
    let mut notes = Vec::new();
    if text.contains(OLD) {
        notes.push("{{envelope.gather.NAME}} is written {{gather.NAME}} now".to_owned());
    }
    Converted { text: text.replace(OLD, "{{gather."), notes, new_lines: 0 }
}

/// Names that the recipe gathers, in either form.
fn gathered<'t>(root: &'t DeTable<'t>) -> Vec<&'t str> {
    let Some(DeValue::Array(entries)) = root.get("gather").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let name = |entry: &'t Spanned<DeValue<'t>>| match entry.get_ref() {
        DeValue::String(name) => Some(name.as_ref()),
        DeValue::Table(table) => match table.get("name").map(Spanned::get_ref) {
            Some(DeValue::String(name)) => Some(name.as_ref()),
            _ => None,
        },
        _ => None,
    };
    entries.iter().filter_map(name).collect()
}

/// Calls `look` with the place of every string in a value.
fn each_string(value: &Spanned<DeValue<'_>>, look: &mut dyn FnMut(usize, usize)) {
    match value.get_ref() {
        DeValue::String(_) => look(value.span().start, value.span().end),
        DeValue::Array(items) => items.iter().for_each(|item| each_string(item, look)),
        DeValue::Table(table) => table.values().for_each(|item| each_string(item, look)),
        _ => {}
    }
}

/// Where a text holds `{{ name }}` of something gathered: from, to, name.
fn bare_places(text: &str, gathered: &[&str]) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(opened) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let from = at + opened;
        let Some(length) = text.get(from..).and_then(|rest| rest.find("}}")) else { break };
        let to = from + length + 2;
        let name = text.get(from + 2..to - 2).unwrap_or_default().trim();
        if gathered.contains(&name) {
            found.push((from, to, name.to_owned()));
        }
        at = to;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_without_a_mode_gets_the_earlier_default() {
        let text = "[trigger]\ntype = \"on_tick\"\n";
        let converted = recipe("recipes/x.toml", text);
        assert_eq!(converted.text, format!("{MODE}{text}"));
        assert_eq!((converted.notes.len(), converted.new_lines), (1, 1));
        let said = format!("mode = \"manual\"\n{text}");
        assert_eq!(
            recipe("recipes/x.toml", &said),
            Converted { text: said, notes: vec![], new_lines: 0 }
        );
    }

    #[test]
    fn bare_names_of_what_is_gathered_get_their_root_and_no_others_do() {
        let text = r#"mode = "manual"
gather = ["peers"]
[filter]
cooldown_key = "{{peers}}"
[actions.log]
# {{ peers }} in a comment
message = "{{ peers }} and {{peers}}, {{other}} {{envelope.peers}} {{"
[actions.log.deep]
list = ["{{ peers }}"]
"#;
        let converted = recipe("recipes/x.toml", text);
        assert_eq!(
            converted.text,
            text.replace(
                "\"{{ peers }} and {{peers}},",
                "\"{{gather.peers}} and {{gather.peers}},"
            )
            .replace("[\"{{ peers }}\"]", "[\"{{gather.peers}}\"]")
        );
        assert!(converted.notes[0].contains("is written {{gather.peers}} now"), "{converted:?}");
        let tables = text.replace("gather = [\"peers\"]\n", "[[gather]]\nname = \"peers\"\n");
        assert!(recipe("recipes/x.toml", &tables).text.contains("{{gather.peers}} and"));
    }

    #[test]
    fn what_is_no_toml_stays_as_it_is() {
        let broken = recipe("recipes/x.toml", "[trigger\n{{ peers }}");
        assert_eq!((broken.text.as_str(), broken.notes.len()), ("[trigger\n{{ peers }}", 0));
    }

    #[test]
    fn gathered_values_in_prompts_lose_their_detour() {
        let converted = prompt("a {{envelope.gather.peers}} b {{envelope.body_text}}");
        assert_eq!(converted.text, "a {{gather.peers}} b {{envelope.body_text}}");
        assert_eq!(converted.notes.len(), 1);
        assert_eq!(prompt("x").notes.len(), 0);
    }
}
