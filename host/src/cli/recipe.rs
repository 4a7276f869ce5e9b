//! `thrall recipe list|check|show`; its other commands need no home and have files
//! of their own.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;

use super::args::RecipeCommand;
use super::printer::Printer;
use super::{
    Outcome, recipe_build, recipe_history, recipe_limits, recipe_mode, recipe_names, recipe_new,
    recipe_words,
};
use crate::app;
use crate::config::Config;
use crate::home::Home;
use crate::ids::{is_valid_name, nearest};
use crate::recipes::folder::MAX_COMPONENT_BYTES;
use crate::recipes::registry::{Entry, Registry, State};
use crate::recipes::{EvaluatorKind, LlmSpec, manifest};
use crate::strict_toml::Problem;
use crate::wasm::{ComponentReport, WasiAnswer};

pub(super) async fn run(
    home: &Path,
    command: &RecipeCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    match command {
        RecipeCommand::New(args) => return recipe_new::run(args, printer),
        RecipeCommand::Build(args) => return recipe_build::run(args, printer).await,
        RecipeCommand::Limits { markdown } => return recipe_limits::run(*markdown, printer),
        RecipeCommand::Words { table, markdown } => {
            return recipe_words::run(*table, *markdown, printer);
        }
        _ => {}
    }
    let home = Home::existing(home)?;
    match command {
        RecipeCommand::History { name, limit } => {
            return recipe_history::list(&home, name, *limit, printer);
        }
        RecipeCommand::Rollback { name, revision } => {
            return recipe_history::rollback(&home, name, revision.as_deref(), printer);
        }
        _ => {}
    }
    let config = Config::load(&home.config_file())?;
    let deciders = app::deciders(&home, &config)?;
    match command {
        RecipeCommand::New(_)
        | RecipeCommand::Build(_)
        | RecipeCommand::Limits { .. }
        | RecipeCommand::Words { .. }
        | RecipeCommand::History { .. }
        | RecipeCommand::Rollback { .. } => Ok(Outcome::Done),
        RecipeCommand::Mode { name, mode, force } => {
            let registry = app::registry_of(&home, &config, &deciders).await?;
            recipe_mode::run(&home, &config, &registry, name, (mode, *force), printer)
        }
        RecipeCommand::Check { file: Some(file) } => match named(&home, file)? {
            Ok(file) => check_file(&deciders, &file, printer).await,
            Err(why) => Ok(printer.no(&why)),
        },
        RecipeCommand::Check { file: None } => {
            let registry = app::registry_of(&home, &config, &deciders).await?;
            check_all(&registry, &deciders.shelf.problems, printer)
        }
        RecipeCommand::List => {
            let registry = app::registry_of(&home, &config, &deciders).await?;
            list(&registry, printer)
        }
        RecipeCommand::Show { name } => {
            let registry = app::registry_of(&home, &config, &deciders).await?;
            show(&registry, &deciders, name, printer)
        }
    }
}

/// A line of `recipe list`.
#[derive(Serialize)]
struct Listed {
    name: String,
    state: &'static str,
    /// Why it is not live.
    reason: String,
    trigger: Option<String>,
    priority: Option<i32>,
    /// What its author wants.
    file_mode: Option<&'static str>,
    /// What it may: the lower of the file's and the grant's.
    mode: Option<&'static str>,
    revision: Option<String>,
    warnings: Vec<String>,
}

fn listed(entry: &Entry) -> Listed {
    let reason = match &entry.state {
        State::Suspended(reason) | State::Tripped(reason) => reason.clone(),
        State::Rejected(problems) => {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        State::Live(_) | State::Disabled => {
            let waiting = entry.waiting.as_ref().map(|waiting| {
                format!("the file's revision is {}: {}", waiting.state, waiting.reason)
            });
            let rejected = entry.broken_file();
            rejected
                .into_iter()
                .chain(waiting)
                .chain(entry.unread_log())
                .collect::<Vec<_>>()
                .join("; ")
        }
    };
    let revision = entry.revision.as_deref();
    Listed {
        name: entry.name.clone(),
        state: entry.state.word(),
        reason,
        trigger: revision.map(|revision| revision.recipe.trigger.kind.clone()),
        priority: revision.map(|revision| revision.recipe.priority),
        file_mode: revision.map(|revision| revision.recipe.mode.as_str()),
        mode: match &entry.state {
            State::Live(mode) => Some(mode.as_str()),
            _ => None,
        },
        revision: revision.map(|revision| revision.digest.short()),
        warnings: revision.map(|revision| revision.recipe.warnings.clone()).unwrap_or_default(),
    }
}

fn list(registry: &Registry, printer: &Printer) -> anyhow::Result<Outcome> {
    let listed: Vec<Listed> = registry.entries().map(listed).collect();
    if printer.is_json() {
        printer.json(&listed)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.state.to_owned(),
                one.mode.unwrap_or("-").to_owned(),
                one.file_mode.unwrap_or("-").to_owned(),
                one.trigger.clone().unwrap_or_default(),
                one.priority.map(|priority| priority.to_string()).unwrap_or_default(),
                one.revision.clone().unwrap_or_default(),
                one.reason.clone(),
            ]
        })
        .collect();
    printer.table(
        &["name", "state", "mode", "file wants", "trigger", "priority", "revision", "reason"],
        &rows,
    )?;
    for one in &listed {
        for warning in &one.warnings {
            printer.talk(&format!("warning: {warning}"));
        }
    }
    Ok(Outcome::Done)
}

/// The file that is meant: a path as it is given, or the one in `recipes/` of a
/// recipe's name. The inner error says that there is no recipe of that name.
fn named(home: &Home, given: &Path) -> anyhow::Result<Result<PathBuf, String>> {
    let name = given.to_str().filter(|name| is_valid_name(name) && !given.exists());
    let Some(name) = name else { return Ok(Ok(given.to_owned())) };
    Ok(match recipe_names::no_file(home, name)? {
        None => Ok(home.recipes().join(format!("{name}.toml"))),
        Some(why) => Err(why),
    })
}

/// With the file's path as it was given in the place of the one that a recipe has
/// at home: whoever reads it may open it.
fn at_path(problem: Problem, name: &str, file: &Path) -> Problem {
    if problem.file != manifest::file_name(name) {
        return problem;
    }
    Problem { file: file.display().to_string(), ..problem }
}

async fn check_file(
    deciders: &app::Deciders,
    file: &Path,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let bytes = read_bounded(file)?;
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => match deciders.loader.check(name, &bytes).await {
            Ok(candidate) => {
                let at_home = manifest::file_name(name);
                for warning in &candidate.recipe.warnings {
                    let warning = match warning.strip_prefix(&at_home) {
                        Some(rest) => format!("{}{rest}", file.display()),
                        None => warning.clone(),
                    };
                    printer.talk(&format!("warning: {warning}"));
                }
                printer.line(&format!("{}: good", file.display()))?;
                Ok(Outcome::Done)
            }
            Err(problems) => {
                let at_path = |problem| at_path(problem, name, file);
                fail(&problems.into_iter().map(at_path).collect::<Vec<_>>(), printer)
            }
        },
        Some("wasm") => match deciders.sandbox.load(bytes).await {
            Ok(report) if printer.is_json() => {
                printer.json(&report)?;
                Ok(Outcome::Done)
            }
            Ok(report) => {
                printer.line(&format!(
                    "{}: good, world {}, {} bytes, sha256 {}, imports: {}",
                    file.display(),
                    report.world.as_str(),
                    report.size,
                    report.id.0,
                    if report.imports.is_empty() {
                        "nothing".to_owned()
                    } else {
                        report.imports.join(", ")
                    }
                ))?;
                for line in wasi_lines(&report) {
                    printer.line(&line)?;
                }
                Ok(Outcome::Done)
            }
            Err(error) => {
                let shown = file.display().to_string();
                fail(&[Problem::in_file(&shown, error.to_string())], printer)
            }
        },
        _ => bail!("{} is neither a .toml nor a .wasm file", file.display()),
    }
}

/// The text of a recipe of the home; the inner error says that there is none of
/// that name.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_recipe(home: &Home, name: &str) -> anyhow::Result<Result<Vec<u8>, String>> {
    if !is_valid_name(name) {
        bail!("{name:?} cannot name a recipe: at most 64 of a-z, 0-9, - and _");
    }
    if let Some(why) = recipe_names::no_file(home, name)? {
        return Ok(Err(why));
    }
    read_bounded(&home.recipes().join(format!("{name}.toml"))).map(Ok)
}

/// What a component that imports WASI meets there, one line for each answer.
fn wasi_lines(report: &ComponentReport) -> Vec<String> {
    WasiAnswer::ALL
        .into_iter()
        .filter_map(|answer| {
            let met: Vec<&str> = report
                .wasi
                .iter()
                .filter(|import| import.meets == answer)
                .map(|import| import.interface.as_str())
                .collect();
            (!met.is_empty()).then(|| format!("  {}: {}", answer.phrase(), met.join(", ")))
        })
        .collect()
}

/// A component one byte too large is read as such, and refused by its size.
fn read_bounded(file: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    // Opening a pipe would wait for ever.
    if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        bail!("{} is not a plain file", file.display());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes)
}

fn check_all(
    registry: &Registry,
    prompt_problems: &[String],
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let mut problems = app::recipe_problems(registry);
    problems.extend(prompt_problems.iter().cloned());
    for one in registry.entries().map(listed) {
        for warning in &one.warnings {
            printer.talk(&format!("warning: {warning}"));
        }
        if one.state == "suspended" {
            printer.talk(&format!("warning: {}: {}", one.name, one.reason));
        }
    }
    if printer.is_json() {
        printer.json(&problems)?;
    } else {
        for problem in &problems {
            printer.line(problem)?;
        }
    }
    if !problems.is_empty() {
        return Ok(Outcome::No);
    }
    printer.talk(&format!("{} recipes, all good", registry.entries().len()));
    Ok(Outcome::Done)
}

fn fail(problems: &[Problem], printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(&problems)?;
    } else {
        for problem in problems {
            printer.line(&problem.to_string())?;
        }
    }
    Ok(Outcome::No)
}

fn show(
    registry: &Registry,
    deciders: &app::Deciders,
    name: &str,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let Some(entry) = registry.entry(name) else {
        let hint = nearest(name, registry.entries().map(|entry| entry.name.as_str()))
            .map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
        printer.talk(&format!("no recipe is called {name:?}{hint}"));
        return Ok(Outcome::No);
    };
    let summary = listed(entry);
    let Some(revision) = entry.revision.as_deref() else {
        printer.talk(&format!("{name} is {}: {}", summary.state, summary.reason));
        return Ok(Outcome::No);
    };
    let recipe = &revision.recipe;
    let stages: Vec<_> = recipe
        .stages()
        .into_iter()
        .map(|(stage, world, spec)| {
            let imports = revision
                .components
                .get(&spec.component)
                .and_then(|id| deciders.sandbox.report(*id))
                .map(|report| report.imports)
                .unwrap_or_default();
            json!({"stage": stage, "world": world, "component": spec.component.to_string(), "imports": imports})
        })
        .collect();
    let evaluators: Vec<_> = recipe
        .evaluators
        .iter()
        .map(|evaluator| {
            let kind = match &evaluator.kind {
                EvaluatorKind::Component(spec) => format!("component {}", spec.component),
                EvaluatorKind::Llm(spec) => format!("llm, prompt {}", prompts(spec)),
                EvaluatorKind::Cascade(spec) => {
                    format!("cascade, prompts {} then {}", spec.first.prompt, prompts(&spec.second))
                }
            };
            json!({"stage": evaluator.stage, "priority": evaluator.priority, "threshold": evaluator.threshold, "kind": kind})
        })
        .collect();
    let shown = json!({
        "summary": summary,
        "evaluators": evaluators,
        "actions": recipe.actions.keys().collect::<Vec<_>>(),
        "sandboxed_stages": stages,
        "grant": {
            "recipe": revision.grant.binding,
            "mode": revision.grant.mode,
            "permissions": revision.grant.permissions,
            "digest": revision.grant.digest,
        },
    });
    // One form for people and programs: the nesting is the information.
    printer.json(&shown)?;
    Ok(Outcome::Done)
}

/// Every prompt that an evaluator may choose.
fn prompts(spec: &LlmSpec) -> String {
    spec.prompts.all().into_iter().collect::<Vec<_>>().join(" or ")
}
