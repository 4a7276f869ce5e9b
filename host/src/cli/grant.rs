//! `thrall grant show|plan|allow|revoke|history`. Planning is in
//! `cli/grant_plan.rs`; what a grant is, in `grants.rs`. A running service sees a
//! changed file within a second; nothing here talks to it.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;

use super::args::GrantCommand;
use super::grant_plan::Planner;
use super::printer::Printer;
use super::{Outcome, recipe_names};
use crate::app::{self, Deciders, grant_files};
use crate::config::Config;
use crate::grants::{self, Follow, Grant, Permissions, leaks};
use crate::home::Home;
use crate::ids::{Digest, nearest};
use crate::recipes::Mode;
use crate::recipes::registry::{Entry, Registry, State};
use crate::roles::Separation;
use crate::store::Reader;
use crate::strict_toml::Problem;

pub(super) async fn run(
    home: &Path,
    command: &GrantCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        GrantCommand::Revoke { name } => return revoke(&home, name, printer),
        GrantCommand::History { name, limit } => return history(&home, name, *limit, printer),
        GrantCommand::Show { .. } | GrantCommand::Plan { .. } | GrantCommand::Allow { .. } => {}
    }
    let config = Config::load(&home.config_file())?;
    let deciders = app::deciders(&home, &config)?;
    let registry = app::registry_of(&home, &config, &deciders).await?;
    match command {
        GrantCommand::Show { name: None } => {
            show_all(&registry, &config.roles.separation(), printer)
        }
        GrantCommand::Show { name: Some(name) } => match find(&registry, name, printer) {
            Some(entry) => show(entry, &config.roles.separation(), printer),
            None => Ok(Outcome::No),
        },
        GrantCommand::Plan { name, last } => {
            let Some(planner) = planner(&home, &deciders, name, printer).await? else {
                return Ok(Outcome::No);
            };
            plan(&planner, &deciders, *last, printer).await
        }
        GrantCommand::Allow { name, recipe, mode, planned, last } => {
            let Some(planner) = planner(&home, &deciders, name, printer).await? else {
                return Ok(Outcome::No);
            };
            if let Some(wanted) = recipe
                && Digest::parse(wanted) != Some(planner.binding())
            {
                printer.talk(&format!(
                    "{name} is sha256:{} now, not {wanted}: look at it again",
                    planner.binding()
                ));
                return Ok(Outcome::No);
            }
            let mode = mode.as_deref().map(mode_of).transpose()?;
            allow(&home, &planner, Allow { mode, planned: *planned, last: *last }, printer).await
        }
        GrantCommand::Revoke { .. } | GrantCommand::History { .. } => Ok(Outcome::Done),
    }
}

pub(super) fn mode_of(word: &str) -> anyhow::Result<Mode> {
    match Mode::from_word(word) {
        Some(mode) => Ok(mode),
        None => {
            let near = nearest(word, Mode::WORDS)
                .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            bail!("{word:?} is no mode: one of {}{near}", Mode::WORDS.join(", "))
        }
    }
}

pub(super) fn find<'r>(registry: &'r Registry, name: &str, printer: &Printer) -> Option<&'r Entry> {
    let found = registry.entry(name);
    if found.is_none() {
        let hint = nearest(name, registry.entries().map(|entry| entry.name.as_str()))
            .map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
        printer.talk(&format!("no recipe is called {name:?}{hint}"));
    }
    found
}

/// A grant beside the recipe that it is for.
#[derive(Serialize)]
struct Shown<'e> {
    recipe: &'e str,
    state: &'static str,
    /// Why the file's own revision does not run.
    reason: String,
    mode: Option<Mode>,
    binding: Option<String>,
    follow: Option<Follow>,
    permissions: Option<&'e Permissions>,
    /// Why the file grants nothing.
    broken: &'e [Problem],
    leaks: Vec<String>,
}

fn shown(entry: &Entry) -> Shown<'_> {
    let grant = entry.revision.as_deref().map(|revision| revision.grant.as_ref());
    let grant = grant.filter(|grant| grant.binding.is_some());
    let reason = match (&entry.state, &entry.waiting) {
        (State::Suspended(reason) | State::Tripped(reason), _) => reason.clone(),
        (_, Some(waiting)) => format!("the file's revision waits: {}", waiting.reason),
        _ => String::new(),
    };
    Shown {
        recipe: &entry.name,
        state: entry.state.word(),
        reason,
        mode: grant.map(|grant| grant.mode),
        binding: grant.and_then(|grant| grant.binding).map(|digest| format!("sha256:{digest}")),
        follow: grant.and_then(|grant| grant.follow),
        permissions: grant.map(|grant| &grant.permissions),
        broken: &entry.broken_grant,
        leaks: grant
            .map(|grant| leaks::warnings(&entry.name, &grant.permissions))
            .unwrap_or_default(),
    }
}

/// What `grant show --json` prints of all.
#[derive(Serialize)]
struct Listing<'e> {
    separation: &'static str,
    grants: Vec<Shown<'e>>,
}

/// Said wherever nothing really keeps an agent from writing grants.
fn say_separation(separation: &Separation, printer: &Printer) {
    if *separation != Separation::Strict {
        printer.talk(&format!("separation = \"advisory\": {}", separation.reason()));
    }
}

fn show_all(
    registry: &Registry,
    separation: &Separation,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let all: Vec<Shown<'_>> = registry.entries().map(shown).collect();
    if printer.is_json() {
        printer.json(&Listing { separation: separation.as_str(), grants: all })?;
        return Ok(Outcome::Done);
    }
    say_separation(separation, printer);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            vec![
                one.recipe.to_owned(),
                one.state.to_owned(),
                one.mode.map_or("-", Mode::as_str).to_owned(),
                one.binding.as_deref().and_then(|text| text.get(7..23)).unwrap_or("-").to_owned(),
                one.reason.clone(),
            ]
        })
        .collect();
    printer.table(&["recipe", "state", "granted", "revision", "reason"], &rows)?;
    for leak in all.iter().flat_map(|one| &one.leaks) {
        printer.talk(leak);
    }
    Ok(Outcome::Done)
}

fn show(entry: &Entry, separation: &Separation, printer: &Printer) -> anyhow::Result<Outcome> {
    let shown = shown(entry);
    say_separation(separation, printer);
    if printer.is_json() {
        printer.json(&shown)?;
    } else if let Some(grant) = entry
        .revision
        .as_deref()
        .map(|revision| &revision.grant)
        .filter(|grant| grant.binding.is_some())
    {
        for line in grants::to_toml(grant).lines() {
            printer.line(line)?;
        }
    } else if shown.broken.is_empty() {
        printer.talk(&format!("{} has no grant", entry.name));
    }
    if !shown.broken.is_empty() {
        for problem in shown.broken {
            printer.talk(&problem.to_string());
        }
        return Ok(printer.no(&format!("the grant of {} is broken and grants nothing", entry.name)));
    }
    if !shown.reason.is_empty() {
        printer.talk(&shown.reason);
    }
    for leak in &shown.leaks {
        printer.talk(leak);
    }
    Ok(Outcome::Done)
}

async fn planner(
    home: &Home,
    deciders: &Deciders,
    name: &str,
    printer: &Printer,
) -> anyhow::Result<Option<Planner>> {
    let bytes = match super::recipe::read_recipe(home, name)? {
        Ok(bytes) => bytes,
        Err(why) => {
            printer.talk(&why);
            return Ok(None);
        }
    };
    match deciders.loader.check(name, &bytes).await {
        Ok(candidate) => Ok(Some(Planner::new(home, deciders, candidate)?)),
        Err(problems) => {
            for problem in problems {
                printer.line(&problem.to_string())?;
            }
            Ok(None)
        }
    }
}

/// What `grant plan --json` prints.
#[derive(Serialize)]
struct Plan<'p> {
    recipe: &'p str,
    events: u32,
    /// The file as it would be.
    grant: String,
    /// Lines that are new, and lines that would go.
    added: Vec<String>,
    removed: Vec<String>,
    /// What the recipe declares and these events did not need.
    declared_only: Vec<String>,
    leaks: Vec<String>,
}

async fn plan(
    planner: &Planner,
    deciders: &Deciders,
    last: u32,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let present = planner.present(deciders)?;
    let observed = planner.observe(last).await?;
    let mode = present.as_ref().map_or(MODE_OF_NEW, |grant| grant.mode);
    let follow = present.as_ref().and_then(|grant| grant.follow);
    let planned = planner.grant(mode, follow, observed.permissions.clone());
    let old = present.as_ref().map(grants::to_toml).unwrap_or_default();
    let new = grants::to_toml(&planned);
    let name = &planned.recipe;
    let lines = |one: &str, other: &str| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        one.lines()
            .filter(|line| !line.is_empty() && !other.contains(line))
            .map(str::to_owned)
            .collect()
    };
    let plan = Plan {
        recipe: name,
        events: observed.events,
        added: lines(&new, &old),
        removed: lines(&old, &new),
        declared_only: planner.declared_beyond(&observed.permissions),
        leaks: leaks::warnings(name, &planned.permissions),
        grant: new.clone(),
    };
    if plan.events == 0 {
        return nothing_to_go_by(&plan, &format!("sha256:{}", planner.binding()), printer);
    }
    if printer.is_json() {
        printer.json(&plan)?;
        return Ok(Outcome::Done);
    }
    printer.talk(&format!(
        "{} events rehearsed with everything allowed; nothing was performed",
        plan.events
    ));
    printer.line(&format!("--- grants/{name}.toml"))?;
    printer.line(&format!("+++ what {} events needed", plan.events))?;
    for line in new.lines() {
        let mark = if plan.added.iter().any(|added| added == line) { '+' } else { ' ' };
        printer.line(format!("{mark}{line}").trim_end())?;
    }
    for line in &plan.removed {
        printer.line(&format!("-{line}"))?;
    }
    for line in &plan.declared_only {
        printer.talk(&format!("declared, not needed by these events: {line}"));
    }
    for leak in &plan.leaks {
        printer.talk(leak);
    }
    let binding = planner.binding();
    printer.talk(&format!(
        "to grant it: thrall grant allow {name} --planned --last {last} --recipe sha256:{binding}"
    ));
    Ok(Outcome::Done)
}

/// Without an event the smallest grant would be none at all, which nobody means.
fn nothing_to_go_by(plan: &Plan<'_>, revision: &str, printer: &Printer) -> anyhow::Result<Outcome> {
    let name = plan.recipe;
    if printer.is_json() {
        printer.json(&json!({
            "recipe": name, "revision": revision, "events": 0, "declared": plan.declared_only,
        }))?;
    } else {
        for line in &plan.declared_only {
            printer.line(&format!("declared: {line}"))?;
        }
    }
    Ok(printer.no(&format!(
        "{NO_EVENTS} {name} waits for, so there is no plan; `thrall grant allow {name} --recipe {revision}` grants what it declares"
    )))
}

const NO_EVENTS: &str = "nothing to go by: the journal has no event that";

/// How far a recipe may act whose operator does not say.
const MODE_OF_NEW: Mode = Mode::Supervised;

/// What `grant allow` was asked for.
struct Allow {
    mode: Option<Mode>,
    planned: bool,
    last: u32,
}

async fn allow(
    home: &Home,
    planner: &Planner,
    how: Allow,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let name = planner.name();
    let file = home.grants().join(format!("{name}.toml"));
    let is_new = !file.exists();
    let present = if is_new { None } else { Some(planner.present_file(home)?) };
    let grant = match (&present, how.planned, how.mode) {
        // As it is, comments included, for the recipe as it is now.
        (Some(_), false, None) => grant_files::bind(home, name, planner.binding())?,
        (Some(present), false, Some(mode)) => {
            let grant = planner.grant(mode, present.follow, present.permissions.clone());
            grant_files::write(home, &grant)?;
            grant
        }
        _ => {
            let observed = planner.observe(how.last).await?;
            if how.planned && observed.events == 0 {
                return Ok(printer.no(&format!(
                    "{NO_EVENTS} {name} waits for; without --planned it is granted what it declares"
                )));
            }
            let mode = how.mode.or(present.as_ref().map(|grant| grant.mode));
            let permissions = if how.planned {
                observed.permissions
            } else {
                planner.declared(observed.permissions)
            };
            let follow = present.as_ref().and_then(|grant| grant.follow);
            let grant = planner.grant(mode.unwrap_or(MODE_OF_NEW), follow, permissions);
            grant_files::write(home, &grant)?;
            printer.talk(&format!("{} events rehearsed for it", observed.events));
            grant
        }
    };
    report(&grant, is_new, printer)
}

fn report(grant: &Grant, is_new: bool, printer: &Printer) -> anyhow::Result<Outcome> {
    let done = if is_new { "wrote" } else { "rewrote" };
    printer.talk(&format!("{done} grants/{}.toml:", grant.recipe));
    for line in grants::to_toml(grant).lines() {
        printer.line(line)?;
    }
    for leak in leaks::warnings(&grant.recipe, &grant.permissions) {
        printer.talk(&leak);
    }
    Ok(Outcome::Done)
}

fn revoke(home: &Home, name: &str, printer: &Printer) -> anyhow::Result<Outcome> {
    if grant_files::remove(home, name)? {
        printer.talk(&format!("{name} has no grant any more and is suspended"));
        return Ok(Outcome::Done);
    }
    Ok(printer.no(&format!("{name} has no grant to take away")))
}

fn history(home: &Home, name: &str, limit: u32, printer: &Printer) -> anyhow::Result<Outcome> {
    let past = Reader::open(&home.state())
        .context("the history is kept by a service that ran")?
        .grant_history(name, limit)?;
    if past.is_empty()
        && let Some(why) = recipe_names::unknown(home, Some(name))?
    {
        return Ok(printer.no(&why));
    }
    if printer.is_json() {
        printer.json(&past)?;
        return Ok(Outcome::Done);
    }
    for one in &past {
        printer.line(&format!("{}  sha256:{}", one.at.to_log_form(), one.digest))?;
        if one.content.is_empty() {
            printer.line("    taken away")?;
        }
        for line in one.content.lines().filter(|line| !line.is_empty()) {
            printer.line(&format!("    {line}"))?;
        }
    }
    Ok(Outcome::Done)
}
