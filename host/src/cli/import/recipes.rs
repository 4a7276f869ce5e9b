//! The old recipes: each is checked by the loader itself before it is placed,
//! and gets the smallest grant for what it declares, in its own mode.

use super::old_folder::OldFile;
use super::old_forms;
use super::places::{Place, Places};
use super::report::{Item, Word};
use crate::app::recipe_loading::RecipeLoader;
use crate::grants::{self, Grant, Permissions, leaks};
use crate::recipes::Mode;
use crate::recipes::registry::Candidate;
use crate::strict_toml::Problem;

/// A recipe that is to be written, with its grant.
pub(super) struct NewRecipe {
    pub(super) text: String,
    pub(super) grant: Grant,
}

/// Looks at one file. Nothing is written.
pub(super) async fn look(
    old: &OldFile,
    secrets: &[String],
    loader: &RecipeLoader,
    places: &Places,
) -> (Item, Option<NewRecipe>) {
    let shown = format!("recipes/{}", old.name.escape_debug());
    let original = match &old.content {
        Ok(text) => text,
        Err(problem) => return (Item::broken(shown, vec![problem.clone()]), None),
    };
    if super::holds_secret(original, secrets) {
        return (super::secret_item(shown), None);
    }
    let name = old.name.strip_suffix(".toml").unwrap_or(&old.name);
    let converted = old_forms::recipe(&shown, original);
    let candidate = match loader.check(name, converted.text.as_bytes()).await {
        Ok(candidate) => candidate,
        Err(problems) => {
            let problems = problems.into_iter().map(|one| in_old_file(one, converted.new_lines));
            return (Item::broken(shown, problems.collect()), None);
        }
    };
    let grant = grant_for(&candidate);
    let mut notes = converted.notes;
    notes.extend(candidate.recipe.warnings.iter().cloned());
    let (result, detail) = word_of(name, &converted.text, &grant, places);
    if result == Word::Carried {
        notes.push(granted(&grant));
        notes.extend(leaks::warnings(name, &grant.permissions));
    }
    let is_new = result == Word::Carried;
    let item = Item { notes, ..Item::new(shown, result, detail) };
    (item, is_new.then_some(NewRecipe { text: converted.text, grant }))
}

/// A place in the file as its author has it.
fn in_old_file(problem: Problem, new_lines: usize) -> Problem {
    Problem { line: problem.line.saturating_sub(new_lines).max(1), ..problem }
}

/// What the recipe declares, in its own mode: the operator who imports it ran
/// it so.
fn grant_for(candidate: &Candidate) -> Grant {
    let permissions = grants::plan::declared(&candidate.needs, Permissions::default());
    let recipe = &candidate.recipe;
    Grant::new(&recipe.name, Some(candidate.binding()), None, recipe.mode, permissions)
}

fn word_of(name: &str, text: &str, grant: &Grant, places: &Places) -> (Word, String) {
    let (recipe, granted) =
        (places.recipe(&format!("{name}.toml"), text.as_bytes()), places.grant(grant));
    let mode = match grant.mode {
        Mode::Disabled => "disabled, as its file says".to_owned(),
        mode => mode.as_str().to_owned(),
    };
    match (recipe, granted) {
        (Place::Same, Place::Free) => (
            Word::AlreadyThere,
            format!("recipes/{name}.toml; it has no grant: thrall grant allow {name}"),
        ),
        (Place::Same, _) => (Word::AlreadyThere, format!("recipes/{name}.toml")),
        (Place::Taken(what), _) => {
            (Word::NeedsYou, format!("recipes/{name}.toml {what}: --force replaces it"))
        }
        (_, Place::Taken(what)) => {
            (Word::NeedsYou, format!("grants/{name}.toml {what}: --force replaces it"))
        }
        (Place::Replaced, _) => {
            (Word::Carried, format!("recipes/{name}.toml, in place of the one there, {mode}"))
        }
        (Place::Free, _) => (Word::Carried, format!("recipes/{name}.toml, {mode}")),
    }
}

/// What is granted, in one line.
fn granted(grant: &Grant) -> String {
    let skipped = ["recipe = ", "follow = ", "mode = ", "#", "["];
    let text = grants::to_toml(grant);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && skipped.iter().all(|start| !line.starts_with(start)))
        .collect();
    if lines.is_empty() {
        return format!("grants/{}.toml grants nothing but log and drop", grant.recipe);
    }
    format!("grants/{}.toml grants {}", grant.recipe, lines.join(", "))
}
