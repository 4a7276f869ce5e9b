//! `thrall prompt list|show|load|diff|history|rollback`. Reading looks into the
//! database, or asks the service where this user may not; what changes something
//! goes through a running service, which uses it at once, or into the database
//! when there is none.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use similar::TextDiff;

use super::Outcome;
use super::args::PromptCommand;
use super::printer::Printer;
use super::socket_client::SocketClient;
use crate::app::prompt_desk::{self, Back, NewPrompt, PromptRefusal};
use crate::app::prompt_listings::{self, PromptStory, PromptsListing};
use crate::app::prompt_shelf::Shelf;
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::home::Home;
use crate::ids::Digest;
use crate::model::PromptForm;
use crate::model::prompt::MAX_PROMPT_BYTES;
use crate::plain_file;
use crate::store::{PromptChange, Reader, Store};

/// Whoever can open the database is the service's user, who is always one of
/// the operators.
const OPERATOR: &str = "operator";

pub(super) async fn run(
    home: &Path,
    command: &PromptCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        PromptCommand::List => list(&Source::of(&home).await?.all().await?, printer),
        PromptCommand::Show { name, version } => {
            match Source::of(&home).await?.one(name, version.as_deref()).await? {
                Ok(story) => show(&story, printer),
                Err(why) => Ok(printer.no(&why)),
            }
        }
        PromptCommand::History { name } => match Source::of(&home).await?.one(name, None).await? {
            Ok(story) => history(&story, printer),
            Err(why) => Ok(printer.no(&why)),
        },
        PromptCommand::Diff { name, from, to } => {
            let source = Source::of(&home).await?;
            match sides(&home, &source, name, from.as_deref(), to.as_deref()).await? {
                Ok((old, new)) => diff(name, &old, &new, printer),
                Err(why) => Ok(printer.no(&why)),
            }
        }
        PromptCommand::Load { file, name } => {
            let (form, content) = read_prompt(file)?;
            let named = name_of(file, form, name.as_deref());
            let done = match SocketClient::of_role(&home).await {
                Some(client) => client.load_prompt(named.as_deref(), form, content).await?,
                None => {
                    let now = SystemClock.now();
                    let store = Store::open(&home.state(), now)?;
                    let by = OPERATOR.to_owned();
                    refused(
                        prompt_desk::load(
                            &store,
                            NewPrompt { name: named, form, content, by },
                            now,
                        )
                        .await,
                    )?
                }
            };
            report(done, printer)
        }
        PromptCommand::Rollback { name, to } => {
            let done = match SocketClient::of_role(&home).await {
                Some(client) => client.roll_prompt_back(name, to.as_deref()).await?,
                None => {
                    let now = SystemClock.now();
                    let store = Store::open(&home.state(), now)?;
                    let back = Back { name: name.clone(), to: to.clone(), by: OPERATOR.to_owned() };
                    refused(prompt_desk::roll_back(&store, back, now).await)?
                }
            };
            report(done, printer)
        }
    }
}

/// Where prompts are read.
enum Source {
    Database(Home, Reader),
    Service(SocketClient),
}

impl Source {
    async fn of(home: &Home) -> anyhow::Result<Self> {
        match (Reader::open(&home.state()), SocketClient::of_role(home).await) {
            (Ok(reader), _) => Ok(Self::Database(home.clone(), reader)),
            (Err(_), Some(client)) => Ok(Self::Service(client)),
            (Err(error), None) => Err(error.into()),
        }
    }

    async fn all(&self) -> anyhow::Result<PromptsListing> {
        match self {
            Self::Database(home, reader) => {
                let shelf = Shelf::read(home, Some(reader))?;
                Ok(prompt_listings::all(home, reader, &shelf.candidates)?)
            }
            Self::Service(client) => client.prompts().await,
        }
    }

    async fn one(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> anyhow::Result<Result<PromptStory, String>> {
        match self {
            Self::Database(_, reader) => refused(prompt_listings::one(reader, name, version)),
            Self::Service(client) => client.prompt(name, version).await,
        }
    }
}

/// A refusal is an answer; a database that fails is none.
fn refused<T>(result: Result<T, PromptRefusal>) -> anyhow::Result<Result<T, String>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(PromptRefusal::Store(error)) => Err(error.into()),
        Err(refusal) => Ok(Err(refusal.to_string())),
    }
}

/// A prompt from a file that the user names: bytes, and how to read them.
///
/// # Errors
/// When it is no plain file, cannot be read, or is too large.
pub(super) fn read_prompt(file: &Path) -> anyhow::Result<(PromptForm, Vec<u8>)> {
    let form = match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => PromptForm::Toml,
        _ => PromptForm::Text,
    };
    // Where a link leads is the user's own affair here.
    let real = file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?;
    let (Some(folder), Some(name)) =
        (real.parent(), real.file_name().and_then(|name| name.to_str()))
    else {
        bail!("{} is no file", file.display());
    };
    let folder = cap_std::fs::Dir::open_ambient_dir(folder, cap_std::ambient_authority())
        .with_context(|| format!("cannot open {}", folder.display()))?;
    let content = plain_file::read(&folder, name, MAX_PROMPT_BYTES)
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok((form, content))
}

/// A prompt file says its own name; bare text is called as its file.
pub(super) fn name_of(file: &Path, form: PromptForm, given: Option<&str>) -> Option<String> {
    let stem = || file.file_stem().and_then(|stem| stem.to_str());
    let own = match form {
        PromptForm::Toml => None,
        PromptForm::Text => stem(),
    };
    given.or(own).map(str::to_owned)
}

fn list(listing: &PromptsListing, printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(listing)?;
        return Ok(Outcome::Done);
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = listing
        .prompts
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                or_dash(&one.hash),
                one.pushed_at.map_or_else(|| "-".to_owned(), TimestampMs::to_log_form),
                or_dash(&one.pushed_by),
                one.versions.to_string(),
                or_dash(&one.candidate),
            ]
        })
        .collect();
    printer.table(&["prompt", "in use", "since (UTC)", "by", "versions", "candidate"], &rows)?;
    for candidate in &listing.candidates {
        printer.talk(candidate);
    }
    Ok(Outcome::Done)
}

fn show(story: &PromptStory, printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(story)?;
        return Ok(Outcome::Done);
    }
    let mark = &story.version;
    let state = if mark.active { "in use" } else { "not in use" };
    printer.talk(&format!(
        "{}, version {} ({state}), by {} at {}",
        mark.name,
        mark.hash,
        mark.pushed_by,
        mark.pushed_at.to_log_form()
    ));
    if let Some(converted) = &story.converted_hash {
        printer.talk(&format!("in the earlier form; as it is read here its hash is {converted}"));
    }
    for line in story.content.lines() {
        printer.line(line)?;
    }
    Ok(Outcome::Done)
}

fn history(story: &PromptStory, printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(&story.history)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = story
        .history
        .iter()
        .enumerate()
        .map(|(place, one)| {
            let word = serde_json::to_value(one.how).unwrap_or_default();
            vec![
                one.at.to_log_form(),
                one.hash.clone(),
                word.as_str().unwrap_or_default().to_owned(),
                one.by.clone(),
                if place == 0 { "in use" } else { "" }.to_owned(),
            ]
        })
        .collect();
    printer.table(&["at (UTC)", "version", "how", "by", ""], &rows)?;
    Ok(Outcome::Done)
}

/// One side of a comparison.
struct Side {
    title: String,
    text: String,
}

impl From<PromptStory> for Side {
    fn from(story: PromptStory) -> Self {
        Self {
            title: format!("{} {}", story.version.name, story.version.hash),
            text: story.content,
        }
    }
}

/// What is compared. The inner error says what there is not.
async fn sides(
    home: &Home,
    source: &Source,
    name: &str,
    from: Option<&str>,
    to: Option<&str>,
) -> anyhow::Result<Result<(Side, Side), String>> {
    let old = match source.one(name, from).await? {
        Ok(story) => Side::from(story),
        Err(why) => return Ok(Err(why)),
    };
    if from.is_some() {
        return Ok(source.one(name, to).await?.map(|story| (old, Side::from(story))));
    }
    let file = format!("{name}.toml");
    let folder = home.dir(&home.prompts())?;
    let title = format!("prompts/{file}");
    Ok(match plain_file::read(&folder, &file, MAX_PROMPT_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let title = format!("{title} {}", Digest::of(&bytes).short());
            Ok((old, Side { title, text: text.into_owned() }))
        }
        Err(error) => Err(format!(
            "{title} cannot be read ({error}): name a version, see thrall prompt history {name}"
        )),
    })
}

/// What `prompt diff --json` prints.
#[derive(Serialize)]
struct Difference<'d> {
    name: &'d str,
    from: &'d str,
    to: &'d str,
    same: bool,
    diff: String,
}

fn diff(name: &str, old: &Side, new: &Side, printer: &Printer) -> anyhow::Result<Outcome> {
    let found = TextDiff::from_lines(&old.text, &new.text);
    let text = found.unified_diff().header(&old.title, &new.title).to_string();
    let same = old.text == new.text;
    if printer.is_json() {
        let diff = if same { String::new() } else { text };
        printer.json(&Difference { name, from: &old.title, to: &new.title, same, diff })?;
        return Ok(Outcome::Done);
    }
    if same {
        printer.talk(&format!("{} and {} are the same", old.title, new.title));
        return Ok(Outcome::Done);
    }
    for line in text.lines() {
        printer.line(line)?;
    }
    Ok(Outcome::Done)
}

fn report(done: Result<PromptChange, String>, printer: &Printer) -> anyhow::Result<Outcome> {
    let change = match done {
        Ok(change) => change,
        Err(why) => return Ok(printer.no(&why)),
    };
    if printer.is_json() {
        printer.json(&change)?;
    }
    let PromptChange { name, hash, old_hash, changed } = &change;
    let before = match old_hash {
        Some(old) => format!("in place of {old}"),
        None => "the first of its name".to_owned(),
    };
    if *changed {
        printer.talk(&format!("prompt {name}, version {hash}, is in use, {before}"));
        if old_hash.is_some() {
            printer.talk(&format!("to go back: thrall prompt rollback {name}"));
        }
    } else {
        printer.talk(&format!("prompt {name}, version {hash}, was in use already"));
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_called_as_it_says_or_as_its_file() {
        let name = |file: &str, given| {
            let form = match Path::new(file).extension() {
                Some(_) => PromptForm::Toml,
                None => PromptForm::Text,
            };
            name_of(Path::new(file), form, given)
        };
        assert_eq!(name("/x/triage", None).as_deref(), Some("triage"));
        assert_eq!(name("/x/other.toml", None), None);
        assert_eq!(name("/x/other.toml", Some("triage")).as_deref(), Some("triage"));
    }
}
