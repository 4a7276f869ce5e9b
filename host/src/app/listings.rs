//! What is loaded, for people and programs that look from outside: recipes
//! with their states, grants with what they bind. The command line's own
//! listings are in `cli/`.

use serde::Serialize;

use crate::grants::leaks;
use crate::recipes::Mode;
use crate::recipes::registry::{Entry, Registry, State};
use crate::roles::Separation;

/// The answer of `GET /thrall/recipes`.
#[derive(Clone, Debug, Serialize)]
pub struct RecipesListing {
    pub separation: &'static str,
    /// The highest mode that a recipe may have here.
    pub mode_ceiling: &'static str,
    pub recipes: Vec<ListedRecipe>,
}

/// One recipe.
#[derive(Clone, Debug, Serialize)]
pub struct ListedRecipe {
    pub name: String,
    pub state: &'static str,
    /// Why it is not live, or does not get what it waits for.
    pub reason: String,
    /// What its author wants.
    pub file_mode: Option<&'static str>,
    /// What it may; absent if it is not live.
    pub mode: Option<&'static str>,
    pub revision: Option<String>,
    /// Why the file that lies there is not what runs.
    pub rejected: Vec<String>,
}

/// The answer of `GET /thrall/grants`.
#[derive(Clone, Debug, Serialize)]
pub struct GrantsListing {
    pub separation: &'static str,
    /// Why it is not strict; empty if it is.
    pub separation_reason: String,
    pub mode_ceiling: &'static str,
    pub grants: Vec<ListedGrant>,
}

/// The grant of one recipe.
#[derive(Clone, Debug, Serialize)]
pub struct ListedGrant {
    pub name: String,
    /// The highest mode that it gives.
    pub mode: &'static str,
    /// The revision that it is for.
    pub binding: Option<String>,
    pub digest: String,
    /// Ways for free text out of the node, beside wide reads.
    pub leaks: Vec<String>,
}

pub fn recipes(registry: &Registry, separation: &Separation, ceiling: Mode) -> RecipesListing {
    RecipesListing {
        separation: separation.as_str(),
        mode_ceiling: ceiling.as_str(),
        recipes: registry.entries().map(recipe).collect(),
    }
}

fn recipe(entry: &Entry) -> ListedRecipe {
    let revision = entry.revision.as_deref();
    ListedRecipe {
        name: entry.name.clone(),
        state: entry.state.word(),
        reason: match &entry.state {
            State::Suspended(reason) => reason.clone(),
            State::Rejected(problems) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            _ => entry.broken_file().or_else(|| entry.unread_log()).unwrap_or_default(),
        },
        file_mode: revision.map(|revision| revision.recipe.mode.as_str()),
        mode: match &entry.state {
            State::Live(mode) => Some(mode.as_str()),
            _ => None,
        },
        revision: revision.map(|revision| revision.digest.short()),
        rejected: entry.rejected.iter().map(ToString::to_string).collect(),
    }
}

pub fn grants(registry: &Registry, separation: &Separation, ceiling: Mode) -> GrantsListing {
    let granted = registry.entries().filter(|entry| !matches!(entry.state, State::Suspended(_)));
    GrantsListing {
        separation: separation.as_str(),
        separation_reason: separation.reason().to_owned(),
        mode_ceiling: ceiling.as_str(),
        grants: granted
            .filter_map(|entry| {
                let grant = &entry.revision.as_ref()?.grant;
                Some(ListedGrant {
                    name: entry.name.clone(),
                    mode: grant.mode.as_str(),
                    binding: grant.binding.map(|digest| format!("sha256:{digest}")),
                    digest: grant.digest.to_string(),
                    leaks: leaks::warnings(&entry.name, &grant.permissions),
                })
            })
            .collect(),
    }
}

/// Recipes that would be automated if the ceiling were not below it.
pub fn held_down(registry: &Registry, ceiling: Mode) -> Vec<String> {
    registry
        .entries()
        .filter(|entry| matches!(entry.state, State::Live(_)))
        .filter(|entry| {
            entry
                .revision
                .as_ref()
                .is_some_and(|revision| revision.recipe.mode.min(revision.grant.mode) > ceiling)
        })
        .map(|entry| entry.name.clone())
        .collect()
}
