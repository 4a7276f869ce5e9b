//! `thrall dryrun`: the pipeline without its last step. Opens the database for
//! reading only, so that nothing can change.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Serialize;

use super::Outcome;
use super::args::DryrunArgs;
use super::printer::Printer;
use super::trace_view;
use crate::app::{self, Deciders};
use crate::capabilities::gathered_files::FileGatherer;
use crate::capabilities::live::{LiveAnswers, LiveFacts};
use crate::capabilities::no_node::NoNode;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::config::Config;
use crate::engine::authority_of;
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, json};
use crate::grants::Grant;
use crate::home::Home;
use crate::ids::{Digest, JournalId};
use crate::journal::Trace;
use crate::pipeline::ports::Ports;
use crate::pipeline::{self, RunInput, Switches};
use crate::recipes::Mode;
use crate::recipes::folder::MAX_COMPONENT_BYTES;
use crate::recipes::registry::{GrantFile, Registry, Revision};
use crate::rehearsal::{self, recorded::NoMeter};
use crate::store::{JournalEntry, JournalFilter, Reader};

/// Bounds on what is run and where.
struct Rehearsal {
    reader: Arc<Reader>,
    live: Ports,
    config: Config,
    revision: Revision,
    /// For the grants of recipes on the way to an event.
    registry: Registry,
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
}

#[derive(Serialize)]
struct Then {
    action: String,
    reason: String,
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
    let Some((name, revision)) = revision(&home, &deciders, &args.recipe, printer).await? else {
        return Ok(Outcome::No);
    };
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
    let rehearsal = Rehearsal { reader, live, config, revision, registry };
    match (&args.envelope, args.journal, args.last) {
        (Some(file), _, _) => {
            let rehearsed = rehearsal.envelope(&read_envelope(file)?).await?;
            report(&[rehearsed], true, printer)
        }
        (None, Some(id), _) => match rehearsal.journaled(id).await? {
            Ok(rehearsed) => report(&[rehearsed], true, printer),
            Err(why) => {
                printer.talk(&why);
                Ok(Outcome::No)
            }
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
            report(&all, false, printer)
        }
    }
}

/// The recipe to run: one of the home, or a loose file with its bytes.
async fn revision(
    home: &Home,
    deciders: &Deciders,
    recipe: &str,
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
            let file = home.recipes().join(format!("{recipe}.toml"));
            let bytes =
                read_bounded(&file).with_context(|| format!("no recipe is called {recipe:?}"))?;
            (recipe.to_owned(), deciders.loader.check(recipe, &bytes).await)
        }
    };
    match checked {
        Ok(candidate) => {
            let grant = match deciders.loader.grant(&name)? {
                GrantFile::Granted(grant, _) => grant,
                GrantFile::Absent | GrantFile::Broken(_) => Arc::new(Grant::nothing(&name)),
            };
            Ok(Some((name, Revision::new(candidate, grant, Mode::Automated))))
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
    async fn envelope(&self, bytes: &[u8]) -> anyhow::Result<Rehearsed> {
        let draft = json::parse(bytes)?;
        let now = SystemClock.now();
        let envelope = Envelope {
            id: draft.id.unwrap_or_else(|| "rehearsed".to_owned()),
            trigger: draft.trigger,
            source: "rehearsal".to_owned(),
            parent: None,
            depth: 0,
            received_at: now,
            root: None,
            lineage: Vec::new(),
            fields: draft.fields,
        };
        let tier = self.config.trust.tier_of(envelope.text("from_node"));
        let trace = self.run(&self.live, &envelope, tier, now, false).await?;
        Ok(Rehearsed {
            journal_id: None,
            envelope_id: envelope.id,
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
        let ports = rehearsal::recorded_ports(&self.live, &trace);
        let answered = trace.host_inputs.answered;
        let now_trace = self.run(&ports, &stored.envelope, row.tier, row.at, answered).await?;
        let differs = now_trace.decision_hash != row.decision_hash;
        Ok(Ok(Rehearsed {
            journal_id: Some(id),
            envelope_id: stored.envelope.id,
            trace: now_trace,
            then: Some(Then {
                action: row.action.clone(),
                reason: row.reason.clone(),
                decision_hash: row.decision_hash,
            }),
            differs,
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
        };
        let mut trace = pipeline::run(ports, input).await?.trace;
        trace.action.executed = false;
        Ok(trace)
    }
}

/// Exit status 1 when a decision differs, so that it serves in scripts.
fn report(all: &[Rehearsed], is_single: bool, printer: &Printer) -> anyhow::Result<Outcome> {
    let differing = all.iter().filter(|one| one.differs).count();
    if printer.is_json() {
        match (is_single, all.first()) {
            (true, Some(one)) => printer.json(one)?,
            _ => printer.json(&all)?,
        }
    } else {
        for one in all {
            print(one, printer)?;
        }
        if !is_single {
            printer.talk(&format!("{} run, {differing} decided differently", all.len()));
        }
    }
    Ok(if differing > 0 { Outcome::No } else { Outcome::Done })
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
