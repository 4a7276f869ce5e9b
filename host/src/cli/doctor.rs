//! `thrall doctor`: what is wrong with this home and this machine, and what to
//! do about it. Each finding is one line; nothing is changed.

mod separation;

use std::path::Path;

use serde::Serialize;

use super::Outcome;
use super::printer::Printer;
use super::socket_client::SocketClient;
use crate::app::{self, state_owner};
use crate::config::{Config, ConfigError};
use crate::home::{FOLDERS, Home};
use crate::model::embedding::DEFAULT_EMBEDDER;
use crate::model_files::ModelFiles;
use crate::recipes::registry::State;
use crate::roles::weak_places;
use crate::store::Reader;

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Good,
    Warning,
    Bad,
}

#[derive(Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, level: Level, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level, about, text: text.into() });
    }
}

pub(super) async fn run(home: &Path, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let mut findings = Findings(Vec::new());
    folders(&home, &mut findings);
    if let Some(config) = configuration(&home, &mut findings) {
        models(&home, &config, &mut findings);
        recipes(&home, &config, &mut findings).await;
        separation::look(&home, &config, &mut findings);
    }
    database(&home, &mut findings);
    service(&home, &mut findings).await;
    let is_bad = findings.0.iter().any(|finding| finding.level == Level::Bad);
    if printer.is_json() {
        printer.json(&findings.0)?;
    } else {
        for finding in &findings.0 {
            let mark = match finding.level {
                Level::Good => "ok  ",
                Level::Warning => "warn",
                Level::Bad => "BAD ",
            };
            printer.line(&format!("{mark}  {:<12} {}", finding.about, finding.text))?;
        }
    }
    Ok(if is_bad { Outcome::No } else { Outcome::Done })
}

fn folders(home: &Home, findings: &mut Findings) {
    let missing: Vec<&str> = FOLDERS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !home.root().join(name).is_dir())
        .collect();
    for place in state_owner::foreign(home) {
        let text = format!(
            "{} is not the service's, which cannot write it: give it to the owner of {} (chown -R)",
            place.display(),
            home.state().display()
        );
        findings.add(Level::Bad, "folders", text);
    }
    if let Some(text) = weak_places::open_briefings(home) {
        findings.add(Level::Warning, "folders", text);
    }
    if missing.is_empty() {
        findings.add(Level::Good, "folders", format!("{} has them all", home.root().display()));
    } else {
        let text = format!(
            "missing: {}; `thrall init` makes them and touches nothing else",
            missing.join(", ")
        );
        findings.add(Level::Bad, "folders", text);
    }
}

fn configuration(home: &Home, findings: &mut Findings) -> Option<Config> {
    match Config::load(&home.config_file()) {
        Ok(config) => {
            for warning in &config.warnings {
                findings.add(Level::Warning, "thrall.toml", warning.clone());
            }
            if config.node_id.is_none() {
                let text = "no node id: mail of your own node is not recognised, set [node] id";
                findings.add(Level::Warning, "thrall.toml", text);
            }
            for switch in config.switches() {
                findings.add(Level::Warning, "thrall.toml", switch);
            }
            findings.add(Level::Good, "thrall.toml", "can be read");
            Some(config)
        }
        Err(ConfigError::Invalid(problems)) => {
            // One finding each: keys of the earlier thrall come by the dozen.
            for problem in problems {
                findings.add(Level::Bad, "thrall.toml", problem.to_string());
            }
            None
        }
        Err(error) => {
            findings.add(Level::Bad, "thrall.toml", format!("{:#}", anyhow::Error::from(error)));
            None
        }
    }
}

fn models(home: &Home, config: &Config, findings: &mut Findings) {
    let files = match ModelFiles::of_home(home) {
        Ok(files) => files,
        Err(error) => return findings.add(Level::Bad, "models", format!("{error:#}")),
    };
    let chat = &config.model.default;
    for (name, without) in
        [(chat.as_str(), "recipes use their fallback"), (DEFAULT_EMBEDDER, "no text is embedded")]
    {
        let name = config.models.get(name).map_or(name, String::as_str);
        match files.catalogue().find(name).map(|entry| files.find(entry)) {
            Ok(Some(path)) => {
                findings.add(Level::Good, "model", format!("{name}: {}", path.display()));
            }
            Ok(None) => {
                let folders: Vec<String> =
                    files.folders().map(|folder| folder.display().to_string()).collect();
                let text = format!(
                    "{name} is in neither folder ({}), {without}: `thrall model pull {name}`",
                    folders.join(", ")
                );
                findings.add(Level::Warning, "model", text);
            }
            Err(error) => findings.add(Level::Bad, "model", error.to_string()),
        }
    }
}

async fn recipes(home: &Home, config: &Config, findings: &mut Findings) {
    let loaded = async {
        let deciders = app::deciders(home, config)?;
        let registry = app::registry_of(home, config, &deciders).await?;
        anyhow::Ok((registry, deciders.shelf))
    };
    let (registry, shelf) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => return findings.add(Level::Bad, "sandbox", format!("{error:#}")),
    };
    findings.add(Level::Good, "sandbox", "starts, and the bundled components load");
    let mut running = 0;
    for entry in registry.entries() {
        match &entry.state {
            State::Live(_) => running += 1,
            State::Suspended(reason) => {
                findings.add(
                    Level::Warning,
                    "recipe",
                    format!("{} is suspended: {reason}", entry.name),
                );
            }
            State::Tripped(reason) => {
                findings.add(
                    Level::Warning,
                    "recipe",
                    format!("{} has tripped: {reason}", entry.name),
                );
            }
            State::Rejected(_) | State::Disabled => {}
        }
        for warning in entry.revision.iter().flat_map(|revision| &revision.recipe.warnings) {
            findings.add(Level::Warning, "recipe", warning.clone());
        }
    }
    let live = registry.entries().filter(|entry| matches!(entry.state, State::Live(_)));
    for entry in live {
        let watched = entry.revision.as_ref().and_then(|revision| revision.log_access());
        if let Some((path, Ok(()))) = watched
            && !Path::new(path).is_file()
        {
            let text = format!(
                "{} watches {path}, which is not there: put the path of your node's log into recipes/{}.toml and its grant, then `thrall grant allow {}`",
                entry.name, entry.name, entry.name
            );
            findings.add(Level::Warning, "log", text);
        }
    }
    for problem in app::recipe_problems(&registry) {
        findings.add(Level::Bad, "recipe", problem);
    }
    for problem in app::grant_problems(&registry) {
        findings.add(Level::Bad, "grant", problem);
    }
    for problem in shelf.problems {
        findings.add(Level::Bad, "prompt", problem);
    }
    for candidate in shelf.candidates {
        findings.add(Level::Warning, "prompt", candidate.line(home));
    }
    findings.add(Level::Good, "recipes", format!("{running} live"));
}

fn database(home: &Home, findings: &mut Findings) {
    match Reader::open(&home.state()).and_then(|reader| reader.last_journal_id()) {
        Ok(rows) => findings.add(
            Level::Good,
            "database",
            format!("{rows} journal rows; `thrall journal verify` checks them"),
        ),
        Err(error) => findings.add(Level::Bad, "database", error.to_string()),
    }
}

async fn service(home: &Home, findings: &mut Findings) {
    if SocketClient::new(&home.socket("operator")).is_alive().await {
        findings.add(Level::Good, "service", "running");
    } else {
        findings.add(Level::Warning, "service", "not running: `thrall serve`");
    }
}
