//! `[evaluate]` of type `llm`, and the second step of a `cascade`: which prompt
//! for whom, which model, and what follows from each kind of message.

use std::collections::{BTreeMap, BTreeSet};

use thrall_sdk::template::Root;

use super::LlmSpec;
use super::placeholders::{self, Stage};
use super::prompt_choice::{PromptChoice, SenderPrompts};
use super::reading::{Known, Reading, Weight};
use crate::envelope::sender::Tier;
use crate::strict_toml::{Placed, Table};

const MAX_KINDS: usize = 64;
const MAX_KIND_BYTES: usize = 64;
const MAX_SENDERS: usize = 256;

/// Tiers whose messages are evaluated.
const TIERS: [(&str, Tier); 3] =
    [("team", Tier::Team), ("known", Tier::Known), ("unknown", Tier::Unknown)];

/// Reads the keys; `None` when there is no prompt.
pub(super) fn read(reading: &Reading<'_>, table: &Table<'_>) -> Option<LlmSpec> {
    let usual = required_prompt(table);
    let model = model(reading, table);
    let kinds: Vec<(Placed<&str>, String)> =
        table.table("kinds").map(|kinds| read_kinds(reading, &kinds)).unwrap_or_default();
    let mut named: Vec<Placed<&str>> = usual.into_iter().collect();
    let tiers = tier_prompts(table, &mut named);
    let senders = sender_prompts(reading, table, &mut named);
    check_prompts(reading, &named, &kinds);
    Some(LlmSpec {
        prompts: PromptChoice { usual: usual?.value.to_owned(), tiers, senders },
        model,
        kinds: kinds.into_iter().map(|(kind, action)| (kind.value.to_owned(), action)).collect(),
    })
}

/// The key `prompt`, which has to be there.
pub(super) fn required_prompt<'t>(table: &Table<'t>) -> Option<Placed<&'t str>> {
    if !table.has("prompt") {
        table.missing("prompt", "prompt = \"triage\"");
    }
    table.text("prompt")
}

/// The key `model`.
pub(super) fn model(reading: &Reading<'_>, table: &Table<'_>) -> Option<String> {
    let model = table.text("model")?;
    check_model(reading, table.name(), model);
    Some(model.value.to_owned())
}

/// The kinds of a prompt that exists, after it was checked that this recipe can
/// fill it in.
pub(super) fn known_prompt<'r>(
    reading: &'r Reading<'_>,
    prompt: Placed<&str>,
) -> Option<&'r BTreeMap<String, String>> {
    let Some(kinds) = reading.known.prompts.get(prompt.value) else {
        let what = format!("[evaluate] prompt {:?} does not exist", prompt.value);
        let prompts = reading.known.prompts.keys().map(String::as_str);
        reading.sink.wrong_word(prompt.at, what, prompt.value, prompts);
        return None;
    };
    let places = reading.known.placeholders.get(prompt.value);
    for place in places.into_iter().flatten() {
        let whose = format!("[evaluate] prompt {:?}", prompt.value);
        // The cascade's own, and what a recipe needs nothing for, are not here.
        if let Some((root, name)) = Root::split(place) {
            placeholders::check_name(reading, prompt.at, root, name, Stage::Evaluate, &whose);
        }
    }
    Some(kinds)
}

/// `[evaluate.prompts]`: another prompt for a tier.
fn tier_prompts<'t>(table: &Table<'t>, named: &mut Vec<Placed<&'t str>>) -> Vec<(Tier, String)> {
    let Some(prompts) = table.table("prompts") else { return Vec::new() };
    prompts.only(
        &TIERS.map(|(word, _)| word),
        &[("blocked", "a blocked sender is not evaluated at all")],
    );
    let of = |(word, tier): &(&str, Tier)| Some((*tier, prompts.text(word)?));
    let found: Vec<(Tier, Placed<&'t str>)> = TIERS.iter().filter_map(of).collect();
    named.extend(found.iter().map(|(_, prompt)| *prompt));
    found.into_iter().map(|(tier, prompt)| (tier, prompt.value.to_owned())).collect()
}

/// `[[evaluate.senders]]`: another prompt for a node.
fn sender_prompts<'t>(
    reading: &Reading<'_>,
    table: &Table<'t>,
    named: &mut Vec<Placed<&'t str>>,
) -> SenderPrompts {
    let entries = table.tables("senders");
    let mut senders = SenderPrompts::default();
    if entries.len() > MAX_SENDERS {
        let what = format!("{} [[evaluate.senders]]", entries.len());
        let expected = format!("at most {MAX_SENDERS}");
        reading.sink.error_expected(table.at_key("senders"), what, expected);
        return senders;
    }
    for entry in entries {
        entry.only(&["node", "prompt"], &[("from_node", "the key is node")]);
        if !entry.has("node") {
            entry
                .missing("node", "node = \"the sender's id, or at least its first 16 characters\"");
        }
        let (Some(node), Some(prompt)) = (entry.text("node"), required_prompt(&entry)) else {
            continue;
        };
        if let Err(why) = senders.add(node.value, prompt.value) {
            let shown: String = node.value.chars().take(80).collect();
            reading.sink.error(node.at, format!("[[evaluate.senders]] node {shown:?} {why}"));
        }
        named.push(prompt);
    }
    senders
}

/// Every prompt exists; every kind of the recipe is one of theirs; what their
/// other kinds lead to is declared, or warned of.
fn check_prompts(reading: &Reading<'_>, named: &[Placed<&str>], own: &[(Placed<&str>, String)]) {
    let mut seen: BTreeMap<&str, &BTreeMap<String, String>> = BTreeMap::new();
    let mut has_any_kind = named.is_empty();
    for prompt in named {
        if seen.contains_key(prompt.value) {
            continue;
        }
        let Some(kinds) = known_prompt(reading, *prompt) else {
            has_any_kind = true;
            continue;
        };
        seen.insert(prompt.value, kinds);
        has_any_kind |= kinds.is_empty();
        for (kind, action) in
            kinds.iter().filter(|(kind, _)| own.iter().all(|(other, _)| other.value != *kind))
        {
            let by = format!("prompt {:?} for {kind:?}", prompt.value);
            reading.mention(prompt.at, action, &by, Weight::Warning);
        }
    }
    // A prompt without kinds has the recipe's actions for labels.
    if has_any_kind {
        return;
    }
    let names: Vec<String> = seen.keys().map(|name| format!("{name:?}")).collect();
    let known: BTreeSet<&str> =
        seen.values().flat_map(|kinds| kinds.keys()).map(String::as_str).collect();
    for (kind, _) in own.iter().filter(|(kind, _)| !known.contains(kind.value)) {
        let what = format!(
            "[evaluate.kinds] prompt {} knows no kind {:?}",
            names.join(" or "),
            kind.value
        );
        reading.sink.doubtful_word(kind.at, what, kind.value, known.iter().copied());
    }
}

fn check_model(reading: &Reading<'_>, whose: &str, model: Placed<&str>) {
    let Known { models_on_disk, models_known, model_aliases, .. } = reading.known;
    let name = model_aliases.get(model.value).map_or(model.value, String::as_str);
    if models_on_disk.contains(name) {
        return;
    }
    if models_known.contains(name) {
        let what = format!(
            "model {name:?} is not on disk: the fallback decides until `thrall model pull {name}`, or until [models] alias in thrall.toml points it elsewhere"
        );
        reading.sink.warn(model.at, what);
        return;
    }
    let what = format!("{whose} nobody knows a model {:?}", model.value);
    let valid = models_known.iter().chain(models_on_disk).chain(model_aliases.keys());
    let valid: BTreeSet<&str> = valid.map(String::as_str).collect();
    reading.sink.wrong_word(model.at, what, model.value, valid);
}

fn read_kinds<'t>(reading: &Reading<'_>, table: &Table<'t>) -> Vec<(Placed<&'t str>, String)> {
    let mut kinds = Vec::new();
    for kind in table.keys() {
        if kind.value.trim().is_empty()
            || kind.value.len() > MAX_KIND_BYTES
            || kind.value.contains(char::is_control)
        {
            let what = format!("[evaluate.kinds] {:?} is no name of a kind", kind.value);
            reading.sink.error_expected(
                kind.at,
                what,
                format!("1 to {MAX_KIND_BYTES} bytes on one line"),
            );
        }
        if let Some(action) = table.text(kind.value) {
            let by = format!("[evaluate.kinds] {}", kind.value);
            kinds.push((kind, reading.mention(action.at, action.value, &by, Weight::Warning)));
        }
    }
    if kinds.len() > MAX_KINDS {
        let what = format!("[evaluate.kinds] has {} kinds", kinds.len());
        reading.sink.error_expected(table.at(), what, format!("at most {MAX_KINDS}"));
    }
    kinds
}
