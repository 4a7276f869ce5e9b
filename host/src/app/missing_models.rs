//! Models that live recipes ask and that are not on disk: these recipes decide by
//! their fallback alone, which nobody would notice otherwise.

use std::collections::{BTreeMap, BTreeSet};

use crate::capabilities::model_questions::ModelQuestions;
use crate::model_files::ModelFiles;
use crate::recipes::registry::{Registry, State};

/// A line for each missing model, with the recipes that ask it.
pub(super) fn problems(
    registry: &Registry,
    questions: &ModelQuestions,
    files: &ModelFiles,
) -> Vec<String> {
    let mut asked: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let live = registry.entries().filter(|entry| matches!(entry.state, State::Live(_)));
    for entry in live {
        let evaluators = entry.revision.iter().flat_map(|revision| &revision.recipe.evaluators);
        for asking in evaluators.flat_map(|one| one.kind.questions()) {
            let model = questions.model_of(asking.prompt, asking.model);
            asked.entry(model).or_default().insert(&entry.name);
        }
    }
    let is_missing =
        |name: &str| files.catalogue().find(name).is_ok_and(|entry| files.find(entry).is_none());
    asked
        .into_iter()
        .filter(|(model, _)| is_missing(model))
        .map(|(model, recipes)| {
            let recipes: Vec<&str> = recipes.into_iter().collect();
            format!(
                "the model {model} is not on disk, so the fallback decides for {}: thrall model pull {model}",
                recipes.join(", ")
            )
        })
        .collect()
}
