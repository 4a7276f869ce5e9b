//! `thrall recipe history|rollback`: the revisions that were live, from the
//! database, and one of them put back as a file. What is put back is a candidate
//! like any other: the grant decides whether it runs.

use anyhow::Context as _;
use serde::Serialize;

use super::printer::Printer;
use super::{Outcome, recipe_names};
use crate::app::kept_components::KeptComponents;
use crate::home::Home;
use crate::plain_file;
use crate::store::{Reader, Revision};

/// Revisions that `rollback` looks through.
const MAX_LOOKED_THROUGH: u32 = 100;

/// A line of `recipe history`.
#[derive(Serialize)]
struct Past<'r> {
    revision: String,
    first_seen: String,
    components: Vec<String>,
    source: &'r str,
}

fn reader(home: &Home) -> anyhow::Result<Reader> {
    Reader::open(&home.state()).context("the history is kept by a service that ran")
}

pub(super) fn list(
    home: &Home,
    name: &str,
    limit: u32,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let revisions = reader(home)?.live_revisions(name, limit)?;
    if revisions.is_empty()
        && let Some(why) = recipe_names::unknown(home, Some(name))?
    {
        return Ok(printer.no(&why));
    }
    let past: Vec<Past<'_>> = revisions
        .iter()
        .map(|revision| Past {
            revision: revision.digest.to_string(),
            first_seen: revision.first_seen.to_log_form(),
            components: file_components(revision).map(|(file, _)| file.clone()).collect(),
            source: &revision.source,
        })
        .collect();
    if printer.is_json() {
        printer.json(&past)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = past
        .iter()
        .map(|one| {
            let short = one.revision.get(..16).unwrap_or(&one.revision).to_owned();
            vec![short, one.first_seen.clone(), one.components.join(", ")]
        })
        .collect();
    printer.table(&["revision", "first seen", "own components"], &rows)?;
    Ok(Outcome::Done)
}

/// Components that lay in recipes/; the others are the program's own.
fn file_components(revision: &Revision) -> impl Iterator<Item = &(String, crate::ids::Digest)> {
    let is_file = |name: &str| name.rsplit_once('.').is_some_and(|(_, ending)| ending == "wasm");
    revision.components.iter().filter(move |(name, _)| is_file(name))
}

pub(super) fn rollback(
    home: &Home,
    name: &str,
    wanted: Option<&str>,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let revisions = reader(home)?.live_revisions(name, MAX_LOOKED_THROUGH)?;
    if revisions.is_empty()
        && let Some(why) = recipe_names::unknown(home, Some(name))?
    {
        return Ok(printer.no(&why));
    }
    let present =
        super::recipe::read_recipe(home, name).ok().and_then(Result::ok).unwrap_or_default();
    let found = match wanted {
        Some(beginning) => {
            revisions.iter().find(|one| one.digest.to_string().starts_with(beginning))
        }
        None => revisions.iter().find(|one| one.source.as_bytes() != present),
    };
    let Some(revision) = found else {
        let what = wanted.map_or_else(
            || "no earlier revision".to_owned(),
            |wanted| format!("no revision {wanted:?}"),
        );
        printer.talk(&format!("{name} has {what}: thrall recipe history {name}"));
        return Ok(Outcome::No);
    };
    let kept = KeptComponents::open(&home.kept_components())
        .with_context(|| format!("cannot open {}", home.kept_components().display()))?;
    let recipes = home.dir(&home.recipes())?;
    for (file, digest) in file_components(revision) {
        let bytes = kept
            .find(digest)
            .with_context(|| format!("{file} of that revision is not kept any more"))?;
        plain_file::replace(&recipes, file, &bytes)
            .with_context(|| format!("cannot write recipes/{file}"))?;
    }
    let file = format!("{name}.toml");
    plain_file::replace(&recipes, &file, revision.source.as_bytes())
        .with_context(|| format!("cannot write recipes/{file}"))?;
    printer.talk(&format!(
        "recipes/{file} is revision {} again; it runs if its grant covers it: thrall recipe list",
        revision.digest.short()
    ));
    Ok(Outcome::Done)
}
