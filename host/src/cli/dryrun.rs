//! `thrall dryrun`: the pipeline without its last step. Opens the database for
//! reading only, so that nothing can change.

mod given_event;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;

use super::args::DryrunArgs;
use super::printer::Printer;
use super::{Outcome, prompt, recipe_names, trace_view};
use crate::app::{self, Deciders};
use crate::capabilities::gathered_files::FileGatherer;
use crate::capabilities::live::{LiveAnswers, LiveFacts};
use crate::capabilities::no_node::NoNode;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::config::Config;
use crate::engine::authority_of;
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, json, result_event};
use crate::grants::Grant;
use crate::home::Home;
use crate::ids::{Digest, JournalId};
use crate::journal::Trace;
use crate::model::{Prompt, PromptLibrary};
use crate::pipeline::ports::Ports;
use crate::pipeline::{self, RunInput, Switches};
use crate::recipes::Mode;
use crate::recipes::folder::MAX_COMPONENT_BYTES;
use crate::recipes::registry::{GrantFile, Registry, Revision};
use crate::rehearsal::candidate::Candidate;
use crate::rehearsal::recorded::{NO_RECORD, NoMeter};
use crate::stage::HostError;
use crate::store::{JournalEntry, JournalFilter, Reader};
use crate::{rehearsal, roles};
use given_event::Continued;

/// Bounds on what is run and where.
struct Rehearsal {
    reader: Arc<Reader>,
    live: Ports,
    config: Config,
    revision: Revision,
    /// For the grants of recipes on the way to an event.
    registry: Registry,
    /// A prompt that is not in use, and leave to ask the model.
    candidate: Option<Candidate>,
}

/// One event, run without acting.
#[derive(Serialize)]
struct Rehearsed {
    /// The row it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_id: Option<JournalId>,
    envelope_id: String,
    trace: Trace,
    /// What was decided then; absent for an event that never arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<Then>,
    differs: bool,
    /// Something was to be asked that nobody had asked then: what is shown is no
    /// decision of the present rules.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_record: bool,
}

#[derive(Serialize)]
struct Then {
    action: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_hash: Option<String>,
    decision_hash: Digest,
}

pub(super) async fn run(
    home: &Path,
    args: &DryrunArgs,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let config = Config::load(&home.config_file())?;
    let deciders = app::deciders(&home, &config)?;
    let mut stand_in = match &args.prompt {
        Some(file) => match stand_in(file)? {
            Ok(prompt) => Some(prompt),
            Err(why) => {
                return Ok(printer.no(&why));
            }
        },
        None => None,
    };
    // A prompt that the recipe names may be this one, and not in use at all yet.
    if let Some(prompt) = &stand_in {
        put_in(&deciders, prompt.clone());
    }
    let ceiling = roles::ceiling(&config);
    let found = revision(&home, &deciders, &args.recipe, ceiling, printer).await?;
    let Some((name, revision)) = found else {
        return Ok(Outcome::No);
    };
    if let Some(prompt) = &mut stand_in {
        if let Err(why) = stand_in_for(prompt, &revision) {
            return Ok(printer.no(&why));
        }
        put_in(&deciders, prompt.clone());
    }
    let candidate = (stand_in.is_some() || args.rerun_model).then(|| Candidate {
        prompt: stand_in.as_ref().map(|prompt| prompt.name.clone()),
        hash: stand_in.as_ref().map(|prompt| prompt.hash.clone()),
        may_ask: args.rerun_model,
    });
    let reader = Arc::new(Reader::open(&home.state())?);
    let breakers = Breakers::existing(&home.breakers(), SystemClock.now())
        .map(Arc::new)
        .with_context(|| format!("cannot open {}", home.breakers().display()))?;
    let live = Ports {
        sandbox: Arc::clone(&deciders.sandbox) as _,
        facts: Arc::new(LiveFacts::new(Arc::clone(&reader), Arc::clone(&breakers))),
        answers: Arc::new(LiveAnswers::new(
            Arc::clone(&reader),
            Arc::clone(&deciders.questions),
            breakers,
            Arc::new(NoNode),
        )),
        classifier: Arc::clone(&deciders.questions) as _,
        meter: Arc::new(NoMeter),
        circuits: Arc::default(),
        gatherer: Arc::new(FileGatherer::new(home.secret_folders())),
        engine: Arc::from(app::ENGINE),
    };
    let registry = app::registry_of(&home, &config, &deciders).await?;
    let rehearsal = Rehearsal { reader, live, config, revision, registry, candidate };
    let tried = rehearsal.candidate.as_ref();
    match (&args.envelope, args.journal, args.last) {
        (Some(file), _, _) => of_file(&rehearsal, args, file, printer).await,
        (None, Some(id), _) => match rehearsal.journaled(id).await? {
            Ok(rehearsed) => report(&[rehearsed], true, tried, printer),
            Err(why) => Ok(printer.no(&why)),
        },
        (None, None, last) => {
            let filter = JournalFilter {
                recipe: Some(name),
                limit: last.unwrap_or(1),
                ..JournalFilter::default()
            };
            let mut all = Vec::new();
            for record in rehearsal.reader.journal_list(&filter)? {
                match rehearsal.journaled(record.id).await? {
                    Ok(rehearsed) => all.push(rehearsed),
                    Err(why) => printer.talk(&why),
                }
            }
            report(&all, false, tried, printer)
        }
    }
}

/// Runs the event of a file, or the answer of a skill to it.
async fn of_file(
    rehearsal: &Rehearsal,
    args: &DryrunArgs,
    file: &Path,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let now = SystemClock.now();
    let mut event = given_event::of_file(&read_envelope(file)?, now)?;
    // A component alone stands in a recipe of ours, which waits for mail.
    let is_recipe = Path::new(&args.recipe).extension().is_none_or(|end| end != "wasm");
    if is_recipe && let Some(why) = given_event::not_for(&rehearsal.revision, &event) {
        return not_its_event(&why, printer);
    }
    if let Some(action) = &args.continue_as {
        let output = match &args.result {
            Some(file) => String::from_utf8(read_bounded(file)?)?,
            None => "{}".to_owned(),
        };
        let answer = Continued { action: action.clone(), output };
        match given_event::continued(&rehearsal.revision.recipe, &event, &answer, now)? {
            Ok(continued) => event = continued,
            Err(why) => return Ok(printer.no(&why)),
        }
    }
    let rehearsed = rehearsal.envelope(event).await?;
    report(&[rehearsed], true, rehearsal.candidate.as_ref(), printer)
}

/// The prompt that is tried. The inner error says why it could not be loaded.
fn stand_in(file: &Path) -> anyhow::Result<Result<Prompt, String>> {
    let (form, content) = prompt::read_prompt(file)?;
    let Ok(text) = String::from_utf8(content) else {
        return Ok(Err(format!("{} is no UTF-8 text", file.display())));
    };
    let name = prompt::name_of(file, form, None);
    let read = Prompt::read(form, name.as_deref(), &text);
    let checked = read.and_then(|prompt| prompt.check_loadable().map(|()| prompt));
    Ok(checked.map_err(|error| error.to_string()))
}

/// Gives the prompt the name under which the recipe asks: its own if the recipe
/// knows it, else that of the recipe's one prompt.
fn stand_in_for(prompt: &mut Prompt, revision: &Revision) -> Result<(), String> {
    let evaluators = &revision.recipe.evaluators;
    let names: BTreeSet<&str> = evaluators
        .iter()
        .flat_map(|one| one.kind.questions())
        .map(|asking| asking.prompt)
        .collect();
    if names.contains(prompt.name.as_str()) {
        return Ok(());
    }
    let recipe = &revision.recipe.name;
    let named: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match (names.first(), names.len()) {
        (Some(only), 1) => {
            (*only).clone_into(&mut prompt.name);
            Ok(())
        }
        (Some(_), _) => Err(format!(
            "{recipe} asks with {}, and the file is called {:?}: give it the name of the one that it stands in for",
            named.join(" and "),
            prompt.name
        )),
        (None, _) => Err(format!("{recipe} asks the model nothing, so there is no prompt to try")),
    }
}

fn put_in(deciders: &Deciders, prompt: Prompt) {
    let mut library = PromptLibrary::clone(&deciders.questions.prompts.load());
    library.insert(prompt);
    deciders.questions.prompts.store(library.into());
}

/// The recipe to run: one of the home, or a loose file with its bytes.
async fn revision(
    home: &Home,
    deciders: &Deciders,
    recipe: &str,
    ceiling: Mode,
    printer: &Printer,
) -> anyhow::Result<Option<(String, Revision)>> {
    let path = Path::new(recipe);
    let ending = path.extension().and_then(|ending| ending.to_str());
    let (name, checked) = match ending {
        Some("wasm") => {
            ("candidate".to_owned(), deciders.loader.check_component(&read_bounded(path)?).await)
        }
        Some("toml") => {
            let name =
                path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let checked = deciders.loader.check(&name, &read_bounded(path)?).await;
            (name, checked)
        }
        _ => {
            if let Some(why) = recipe_names::no_file(home, recipe)? {
                printer.talk(&why);
                return Ok(None);
            }
            let bytes = read_bounded(&home.recipes().join(format!("{recipe}.toml")))?;
            (recipe.to_owned(), deciders.loader.check(recipe, &bytes).await)
        }
    };
    match checked {
        Ok(candidate) => {
            let grant = match deciders.loader.grant(&name)? {
                GrantFile::Granted(grant, _) => grant,
                GrantFile::Absent | GrantFile::Broken(_) => Arc::new(Grant::nothing(&name)),
            };
            Ok(Some((name, Revision::new(candidate, grant, ceiling))))
        }
        Err(problems) => {
            for problem in problems {
                printer.line(&problem.to_string())?;
            }
            Ok(None)
        }
    }
}

impl Rehearsal {
    /// An event that never arrived: what would be decided now. Reads are live,
    /// the model is asked.
    async fn envelope(&self, envelope: Envelope) -> anyhow::Result<Rehearsed> {
        let now = envelope.received_at;
        // What a skill answered is nobody's word.
        let tier = if result_event::continues(&envelope).is_some() {
            Tier::Unknown
        } else {
            self.config.trust.tier_of(envelope.text("from_node"))
        };
        let tried = self.candidate.as_ref().filter(|candidate| candidate.prompt.is_some());
        let trace = match tried {
            Some(candidate) => {
                let ports = rehearsal::candidate_ports(&self.live, None, candidate);
                self.run(&ports, &envelope, tier, now, false).await?
            }
            None => self.run(&self.live, &envelope, tier, now, false).await?,
        };
        Ok(Rehearsed {
            journal_id: None,
            envelope_id: envelope.id,
            no_record: lacks_record(&trace),
            trace,
            then: None,
            differs: false,
        })
    }

    /// An event of the journal, with what the host knew and answered then. The
    /// inner error says why a row cannot be run again.
    async fn journaled(&self, id: JournalId) -> anyhow::Result<Result<Rehearsed, String>> {
        let Some(story) = self.reader.journal_show(id)? else {
            return Ok(Err(format!("the journal has no row {id}")));
        };
        let JournalEntry::Decision { row, .. } = &story.record.entry else {
            return Ok(Err(format!("row {id} tells what was performed, it is no decision")));
        };
        let (Some(trace), Some(stored)) = (story.trace, story.envelope) else {
            return Ok(Err(format!(
                "row {id} cannot be run again: its trace or its event has expired"
            )));
        };
        if stored.has_expired {
            return Ok(Err(format!(
                "row {id} cannot be run again: the event's fields have expired"
            )));
        }
        let ports = match &self.candidate {
            Some(candidate) => rehearsal::candidate_ports(&self.live, Some(&trace), candidate),
            None => rehearsal::recorded_ports(&self.live, &trace),
        };
        let answered = trace.host_inputs.answered;
        let now_trace = self.run(&ports, &stored.envelope, row.tier, row.at, answered).await?;
        let no_record = lacks_record(&now_trace);
        // A prompt that reads otherwise is asked otherwise: what counts is what
        // would be done.
        let differs = match &self.candidate {
            Some(_) => !no_record && does_otherwise(&trace, &now_trace),
            None => now_trace.decision_hash != row.decision_hash,
        };
        Ok(Ok(Rehearsed {
            journal_id: Some(id),
            envelope_id: stored.envelope.id,
            trace: now_trace,
            then: Some(Then {
                action: row.action.clone(),
                reason: row.reason.clone(),
                prompt_hash: row.prompt_hash.clone(),
                decision_hash: row.decision_hash,
            }),
            differs,
            no_record,
        }))
    }

    async fn run(
        &self,
        ports: &Ports,
        envelope: &Envelope,
        tier: Tier,
        now: TimestampMs,
        answered: bool,
    ) -> anyhow::Result<Trace> {
        let input = RunInput {
            seq: 0,
            envelope,
            revision: &self.revision,
            authority: &authority_of(&self.registry, &self.revision, &envelope.lineage),
            tier,
            now,
            answered,
            switches: Switches::default(),
            limits: &self.config.limits,
        };
        let mut trace = pipeline::run(ports, input).await?.trace;
        trace.action.executed = false;
        Ok(trace)
    }
}

/// What is printed of an event that the recipe would never see.
fn not_its_event(why: &str, printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(&json!({"filter": {"decision": "not_matched", "reason": why}}))?;
    } else {
        printer.line(&format!("  filter     {why}"))?;
    }
    Ok(Outcome::No)
}

/// Whether something was refused because nobody had asked it then.
fn lacks_record(trace: &Trace) -> bool {
    trace.host_calls.iter().any(|call| {
        call.request.name().0 == "model"
            && matches!(&call.answer, Err(HostError::Denied(why)) if why.starts_with(NO_RECORD))
    })
}

/// Whether another action, or other operations, come of it.
fn does_otherwise(then: &Trace, now: &Trace) -> bool {
    let done = |trace: &Trace| -> Vec<(&'static str, bool)> {
        let operations = trace.action.operations.iter();
        operations.map(|one| (one.operation.kind(), one.denied_by.is_some())).collect()
    };
    then.filter.decision != now.filter.decision && is_stopped(then) != is_stopped(now)
        || then.action.name != now.action.name
        || done(then) != done(now)
}

/// Whether the filter stage ended it before anybody was asked.
fn is_stopped(trace: &Trace) -> bool {
    matches!(trace.filter.decision.as_str(), "skip" | "rate_limited" | "bypass")
}

/// Exit status 1 when a decision differs, so that it serves in scripts; and when
/// a prompt was tried that nothing is known about.
fn report(
    all: &[Rehearsed],
    is_single: bool,
    candidate: Option<&Candidate>,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let differing = all.iter().filter(|one| one.differs).count();
    let unknown = all.iter().filter(|one| one.no_record).count();
    if printer.is_json() {
        match (is_single, all.first()) {
            (true, Some(one)) => printer.json(one)?,
            _ => printer.json(&all)?,
        }
    } else if candidate.is_some_and(|one| one.prompt.is_some()) {
        compare(all, printer)?;
    } else {
        for one in all {
            print(one, printer)?;
        }
    }
    if candidate.is_some() || !is_single {
        let missing = match unknown {
            0 => String::new(),
            n => format!(
                ", {n} without a record: nobody asked the model this, --rerun-model asks it"
            ),
        };
        printer.talk(&format!("{} run, {differing} decided differently{missing}", all.len()));
    }
    let is_no = differing > 0 || (candidate.is_some() && unknown > 0);
    Ok(if is_no { Outcome::No } else { Outcome::Done })
}

/// Then and now, an event a line.
fn compare(all: &[Rehearsed], printer: &Printer) -> anyhow::Result<()> {
    let said = |action: &str, hash: Option<&str>| match hash {
        Some(hash) => format!("{action} ({hash})"),
        None => action.to_owned(),
    };
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let evaluate = &one.trace.evaluate;
            let verdict = match (one.no_record, one.differs, &one.then) {
                (true, ..) => "no record",
                (_, true, _) => "DIFFERS",
                (.., Some(_)) => "same",
                (.., None) => "",
            };
            let then = one.then.as_ref();
            let now = said(&one.trace.action.name, evaluate.prompt_hash.as_deref());
            vec![
                one.journal_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                one.envelope_id.clone(),
                then.map_or_else(String::new, |then| {
                    said(&then.action, then.prompt_hash.as_deref())
                }),
                if one.no_record { "-".to_owned() } else { now },
                verdict.to_owned(),
                if one.no_record { String::new() } else { evaluate.result.reason.clone() },
            ]
        })
        .collect();
    printer.table(&["row", "event", "then (prompt)", "now (prompt)", "", "reason"], &rows)
}

fn print(one: &Rehearsed, printer: &Printer) -> anyhow::Result<()> {
    let row = one.journal_id.map_or_else(String::new, |id| format!(" (row {id})"));
    printer.line(&format!("Event {}{row}", one.envelope_id))?;
    trace_view::print(printer, &one.trace)?;
    match &one.then {
        Some(then) if one.differs => {
            printer.line(&format!("  DIFFERS    then: {} ({})", then.action, then.reason))
        }
        Some(_) => printer.line("  same       as was decided then"),
        None => Ok(()),
    }
}

fn read_envelope(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return read_bounded(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(json::MAX_JSON_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_bounded(file: &Path) -> anyhow::Result<Vec<u8>> {
    // Opening a pipe would wait for ever.
    if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        bail!("{} is not a plain file", file.display());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.len() > MAX_COMPONENT_BYTES {
        bail!("{} is larger than {MAX_COMPONENT_BYTES} bytes", file.display());
    }
    Ok(bytes)
}
