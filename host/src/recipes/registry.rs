//! Which recipes are loaded, in which state: a snapshot that is swapped whole.
//! A run keeps the snapshot that it started with. Pure: reading the folder is
//! in `recipes/folder.rs`, compiling components the application's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::{ComponentSource, Mode, Recipe, matching};
use crate::clock::TimestampMs;
use crate::envelope::Envelope;
use crate::grants::binding::{self, Cover, Offered};
use crate::grants::{Denial, Grant, Need};
use crate::ids::Digest;
use crate::stage::ComponentId;
use crate::strict_toml::Problem;

/// Earlier revisions of a recipe that are kept for events which matched them
/// when they were accepted.
const MAX_RETIRED: usize = 4;

/// One version of a recipe with the components that it was checked with, and
/// the grant that it is under.
#[derive(Clone, Debug)]
pub struct Revision {
    pub recipe: Arc<Recipe>,
    /// Of the canonical recipe and its components; mode and grant left out.
    pub digest: Digest,
    /// What a grant names; see `grants/binding.rs`.
    pub binding: Digest,
    pub components: BTreeMap<ComponentSource, ComponentId>,
    /// The lower of the file's and the grant's mode.
    pub effective_mode: Mode,
    /// As it is now.
    pub grant: Arc<Grant>,
    /// The grant that the revision was live under, where the present one was
    /// made for another: both have to allow what it does.
    pub granted_then: Option<Arc<Grant>>,
    /// What it can ask for as it is written.
    pub needs: Arc<[Need<'static>]>,
    /// The file's own text.
    pub source: Arc<str>,
}

impl Revision {
    pub fn new(candidate: Candidate, grant: Arc<Grant>, ceiling: Mode) -> Self {
        let binding = candidate.binding();
        let Candidate { recipe, components, needs, source } = candidate;
        let digest = revision_digest(&recipe, &components);
        let effective_mode = recipe.mode.min(grant.mode).min(ceiling);
        Self {
            recipe,
            digest,
            binding,
            components,
            effective_mode,
            grant,
            granted_then: None,
            needs,
            source,
        }
    }

    /// The same revision under the grant that holds now.
    fn under(&self, grant: &Arc<Grant>, ceiling: Mode) -> Self {
        let effective_mode = self.recipe.mode.min(grant.mode).min(ceiling);
        Self { effective_mode, grant: Arc::clone(grant), granted_then: None, ..self.clone() }
    }

    /// The same under what both the present grant and its own of then allow.
    fn under_both(&self, grant: &Arc<Grant>, ceiling: Mode) -> Self {
        let then = self.granted_then.as_ref().unwrap_or(&self.grant);
        let under = self.under(grant, ceiling.min(then.mode));
        Self { granted_then: Some(Arc::clone(then)), ..under }
    }

    /// Whether a run of it may have to wait for the model.
    pub fn can_ask_model(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::Import(name) if name == "model"))
    }

    /// The log that it watches, and whether its grant opens it.
    pub fn log_access(&self) -> Option<(&str, Result<(), Denial>)> {
        let path = self.recipe.trigger.log.as_ref()?.path.as_str();
        let need = Need::GatherFile(Cow::Borrowed(path));
        let then = self.granted_then.iter().map(Arc::as_ref);
        let mut grants = std::iter::once(self.grant.as_ref()).chain(then);
        Some((path, grants.try_for_each(|grant| grant.allow(&need))))
    }

    /// The same as a file would bring it.
    pub fn as_candidate(&self) -> Candidate {
        Candidate {
            recipe: Arc::clone(&self.recipe),
            components: self.components.clone(),
            needs: Arc::clone(&self.needs),
            source: Arc::clone(&self.source),
        }
    }

    /// As far as a grant looks at it.
    fn offered(&self) -> Offered<'_> {
        Offered {
            binding: self.binding,
            has_own_components: !file_components(&self.components).is_empty(),
            priority: self.recipe.priority,
            stop: self.recipe.stop,
            trigger: &self.recipe.trigger.kind,
            reach: self.recipe.reach,
            needs: &self.needs,
        }
    }
}

fn revision_digest(recipe: &Recipe, components: &BTreeMap<ComponentSource, ComponentId>) -> Digest {
    let named: Vec<(String, ComponentId)> =
        components.iter().map(|(source, id)| (source.to_string(), *id)).collect();
    let mut parts: Vec<&[u8]> = vec![b"thrall revision 1", &recipe.canonical.0];
    for (name, id) in &named {
        parts.push(name.as_bytes());
        parts.push(&id.0.0);
    }
    Digest::of_parts(&parts)
}

fn file_components(components: &BTreeMap<ComponentSource, ComponentId>) -> Vec<(String, Digest)> {
    components
        .iter()
        .filter_map(|(source, id)| match source {
            ComponentSource::File(name) => Some((name.clone(), id.0)),
            ComponentSource::Bundled(_) => None,
        })
        .collect()
}

/// Where a recipe stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "lowercase")]
pub enum State {
    Live(Mode),
    /// Good, and not allowed to run: says why.
    Suspended(String),
    /// It failed too often, and there is no earlier revision to go back to.
    Tripped(String),
    /// The file cannot be used, and there was no earlier revision.
    Rejected(Vec<Problem>),
    /// Switched off by its file or its grant.
    Disabled,
}

impl State {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Suspended(_) => "suspended",
            Self::Tripped(_) => "tripped",
            Self::Rejected(_) => "rejected",
            Self::Disabled => "disabled",
        }
    }
}

/// A recipe file as it was found.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    /// The file's name without its ending.
    pub name: String,
    pub content: Result<Candidate, Vec<Problem>>,
    /// There is no such file, only its grant: see [`GrantFile::stands_guard`].
    pub is_gone: bool,
    pub grant: GrantFile,
    /// Revisions that were live before the program started, newest first, each
    /// with the grant that it was under.
    pub restored: Vec<(Candidate, Arc<Grant>)>,
}

/// A recipe that passed every check, with its compiled components.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub recipe: Arc<Recipe>,
    pub components: BTreeMap<ComponentSource, ComponentId>,
    /// What it can ask for as it is written.
    pub needs: Arc<[Need<'static>]>,
    /// The file's own text.
    pub source: Arc<str>,
}

impl Candidate {
    /// What a grant for it names; see `grants/binding.rs`.
    pub fn binding(&self) -> Digest {
        binding::digest(&self.recipe.canonical, &file_components(&self.components))
    }
}

/// What lies in `grants/` for a recipe.
#[derive(Clone, Debug)]
pub enum GrantFile {
    Absent,
    /// Suspends the recipe: what the operator meant is not known, and an older
    /// and wider grant must not go on.
    Broken(Vec<Problem>),
    /// With the time when the file was written.
    Granted(Arc<Grant>, TimestampMs),
}

impl GrantFile {
    /// Whether it lets its recipe answer questions and act, or cannot be read:
    /// while the recipe does not run, the questions that it would see are not let
    /// through.
    pub fn stands_guard(&self) -> bool {
        match self {
            Self::Granted(grant, _) => {
                grant.mode.acts() && grant.permissions.operations.answer.is_some()
            }
            Self::Broken(_) => true,
            Self::Absent => false,
        }
    }
}

/// What holds for all recipes.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The highest mode that any recipe has.
    pub ceiling: Mode,
    /// Revisions that failed too often, by recipe and digest: why, and when. What
    /// was granted anew since then is tried again.
    pub tripped: BTreeMap<(String, Digest), (String, TimestampMs)>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { ceiling: Mode::Automated, tripped: BTreeMap::new() }
    }
}

/// One recipe's place in the registry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    /// State of `revision`; rejected where there is none.
    pub state: State,
    pub revision: Option<Arc<Revision>>,
    /// Problems of the file that lies there now while `revision`, an earlier
    /// one, goes on. Empty if the file is the revision.
    pub rejected: Vec<Problem>,
    /// The file's revision and why it does not run, while `revision`, an
    /// earlier one, goes on.
    pub waiting: Option<Waiting>,
    /// Why the grant file that lies there grants nothing. Empty if it is good, or if
    /// there is none.
    pub broken_grant: Vec<Problem>,
    retired: Vec<Arc<Revision>>,
    /// See [`GrantFile::stands_guard`].
    stands_guard: bool,
    /// See [`LoadedFile::is_gone`].
    is_gone: bool,
}

/// A revision that is good and does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub revision: Digest,
    /// `suspended` or `tripped`.
    pub state: &'static str,
    pub reason: String,
}

/// All loaded recipes.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: BTreeMap<String, Entry>,
    /// Live revisions in the order in which they run.
    live: Vec<Arc<Revision>>,
}

impl Registry {
    /// The registry after the folder was read anew. A broken file, or one that
    /// waits for a grant, leaves the running revision in place; a file that is
    /// gone takes its recipe along. Grants hold at once, for earlier revisions
    /// too.
    pub fn apply(previous: &Self, loaded: Vec<LoadedFile>, terms: &Terms) -> Self {
        let entries: BTreeMap<String, Entry> = loaded
            .into_iter()
            .map(|file| {
                let entry = entry_of(previous.entries.get(&file.name), file, terms);
                (entry.name.clone(), entry)
            })
            .collect();
        let mut live: Vec<Arc<Revision>> =
            entries.values().filter_map(|entry| entry.live_revision().cloned()).collect();
        live.sort_by(|a, b| {
            b.recipe
                .priority
                .cmp(&a.recipe.priority)
                .then_with(|| a.recipe.name.cmp(&b.recipe.name))
        });
        Self { entries, live }
    }

    /// Live recipes that want to see the event, in the order in which they run:
    /// highest priority first, then by name.
    pub fn matching(&self, envelope: &Envelope) -> Vec<Arc<Revision>> {
        let wants =
            |revision: &&Arc<Revision>| matching::matches(&revision.recipe.trigger, envelope);
        self.live.iter().filter(wants).cloned().collect()
    }

    /// Why a recipe that may answer this question does not look at it: it is
    /// tripped, suspended, gone, or cannot be read. What the operator has switched off
    /// guards nothing.
    pub fn silent_guard(&self, question: &Envelope) -> Option<String> {
        let is_silent = |entry: &&Entry| {
            let is_down = !matches!(entry.state, State::Live(_) | State::Disabled);
            let revision = entry.revision.as_ref();
            entry.stands_guard
                && is_down
                && revision.is_none_or(|one| matching::matches(&one.recipe.trigger, question))
        };
        let entry = self.entries.values().find(is_silent)?;
        Some(format!("{} may answer this, and is {}", entry.name, entry.state.word()))
    }

    /// The live revision of a recipe.
    pub fn live(&self, name: &str) -> Option<&Arc<Revision>> {
        self.entries.get(name)?.live_revision()
    }

    /// A certain revision, the live one or one of the last few before it: what
    /// an event matched when it was accepted. `None` if the recipe may not run
    /// any more.
    pub fn revision(&self, name: &str, digest: &Digest) -> Option<Arc<Revision>> {
        let entry = self.entries.get(name)?;
        let live = entry.live_revision()?;
        let mut kept = std::iter::once(live).chain(&entry.retired);
        kept.find(|revision| revision.digest == *digest).cloned()
    }

    /// The grants of recipes that led to an event, as they are now; one that is
    /// not live any more allows nothing.
    pub fn grants_of(&self, lineage: &[String]) -> Vec<Arc<Grant>> {
        lineage
            .iter()
            .map(|name| match self.live(name) {
                Some(revision) => Arc::clone(&revision.grant),
                None => Arc::new(Grant::nothing(name)),
            })
            .collect()
    }

    /// Live recipes that watch a log, by the log's path, those alone that may
    /// read it.
    pub fn log_watchers(&self) -> BTreeMap<&str, Vec<&Arc<Revision>>> {
        let mut watchers: BTreeMap<&str, Vec<&Arc<Revision>>> = BTreeMap::new();
        for revision in &self.live {
            if let Some((path, Ok(()))) = revision.log_access() {
                watchers.entry(path).or_default().push(revision);
            }
        }
        watchers
    }

    /// Components that some revision has, retired ones included.
    pub fn components(&self) -> BTreeSet<ComponentId> {
        let revisions =
            self.entries.values().flat_map(|entry| entry.revision.iter().chain(&entry.retired));
        revisions.flat_map(|revision| revision.components.values().copied()).collect()
    }

    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Every recipe by name, whatever its state.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    /// What `recipe list` shows.
    pub fn list(&self) -> Vec<Summary> {
        self.entries.values().map(Summary::of).collect()
    }
}

impl Entry {
    /// Why a live recipe that waits for lines of a log gets none.
    pub fn unread_log(&self) -> Option<String> {
        let (path, access) = self.live_revision()?.log_access()?;
        access.err().map(|denial| format!("{path} is not read, missing: {denial}"))
    }

    /// Why the file that lies there now is not what runs, if it cannot be read.
    pub fn broken_file(&self) -> Option<String> {
        let first = self.rejected.first()?;
        let more = match self.rejected.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Some(format!("the file is rejected, the earlier revision goes on: {first}{more}"))
    }

    /// What is wrong with its file.
    pub fn problems(&self) -> Vec<Problem> {
        match &self.state {
            State::Rejected(problems) => problems.clone(),
            _ => self.rejected.clone(),
        }
    }

    /// Whether only its grant is there.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    fn live_revision(&self) -> Option<&Arc<Revision>> {
        self.revision.as_ref().filter(|_| matches!(self.state, State::Live(_)))
    }
}

fn entry_of(previous: Option<&Entry>, file: LoadedFile, terms: &Terms) -> Entry {
    let LoadedFile { name, content, is_gone, grant, restored } = file;
    let (present, rejected) = match content {
        Ok(candidate) => (Some(candidate), Vec::new()),
        Err(problems) => (None, problems),
    };
    let stands_guard = grant.stands_guard();
    let broken_grant = match &grant {
        GrantFile::Broken(problems) => problems.clone(),
        GrantFile::Granted(..) | GrantFile::Absent => Vec::new(),
    };
    let grant = match grant {
        GrantFile::Granted(grant, written) => Ok((grant, written)),
        GrantFile::Absent => Err(format!("needs grant: thrall grant allow {name}")),
        GrantFile::Broken(problems) => {
            let first =
                problems.first().map_or_else(|| "unreadable".to_owned(), ToString::to_string);
            Err(format!("needs grant: {first}"))
        }
    };
    let nothing = Arc::new(Grant::nothing(&name));
    let held = grant.as_ref().map_or(&nothing, |(grant, _)| grant);
    let present = present
        .map(|candidate| Arc::new(Revision::new(candidate, Arc::clone(held), terms.ceiling)));
    // A file that is gone takes along what ran before it.
    let earlier = if is_gone { Vec::new() } else { earlier(previous, restored, terms) };
    if present.is_none() && earlier.is_empty() {
        return Entry {
            name,
            state: State::Rejected(rejected),
            revision: None,
            rejected: Vec::new(),
            waiting: None,
            broken_grant,
            retired: Vec::new(),
            stands_guard,
            is_gone,
        };
    }
    let choice = match &grant {
        Ok((grant, written)) => choose(present.as_ref(), &earlier, grant, *written, terms),
        Err(reason) => Choice {
            revision: present.clone().or_else(|| earlier.first().cloned()),
            state: State::Suspended(reason.clone()),
            waiting: None,
        },
    };
    let is_off = present.as_ref().is_some_and(|present| present.recipe.mode == Mode::Disabled);
    let state = if is_off { State::Disabled } else { choice.state.clone() };
    let retired = retired(&earlier, choice.revision.as_deref(), held, terms);
    let Choice { revision, waiting, .. } = choice;
    Entry { name, state, revision, rejected, waiting, broken_grant, retired, stands_guard, is_gone }
}

/// Revisions that ran before, newest first, each under the grant that it had.
fn earlier(
    previous: Option<&Entry>,
    restored: Vec<(Candidate, Arc<Grant>)>,
    terms: &Terms,
) -> Vec<Arc<Revision>> {
    let ran = previous
        .into_iter()
        .flat_map(|entry| entry.live_revision().into_iter().chain(&entry.retired))
        .cloned();
    let restored = restored
        .into_iter()
        .map(|(candidate, grant)| Arc::new(Revision::new(candidate, grant, terms.ceiling)));
    let mut earlier: Vec<Arc<Revision>> = Vec::new();
    for revision in ran.chain(restored) {
        if earlier.iter().all(|known| known.digest != revision.digest) {
            earlier.push(revision);
        }
    }
    earlier
}

struct Choice {
    revision: Option<Arc<Revision>>,
    state: State,
    waiting: Option<Waiting>,
}

/// Which revision runs under a grant: the file's own if the grant covers it and
/// it has not tripped, else the last one before it that may.
fn choose(
    present: Option<&Arc<Revision>>,
    earlier: &[Arc<Revision>],
    grant: &Arc<Grant>,
    written: TimestampMs,
    terms: &Terms,
) -> Choice {
    let granted = present
        .into_iter()
        .chain(earlier)
        .find(|revision| grant.binding == Some(revision.binding))
        .map(|revision| revision.offered());
    let trip_of = |revision: &Revision| {
        let trip = terms.tripped.get(&(revision.recipe.name.clone(), revision.digest));
        // Granting anew is a second try for the revision that is granted, not
        // for those that it took the place of.
        let is_granted_anew =
            |at: TimestampMs| grant.binding == Some(revision.binding) && at < written;
        trip.filter(|(_, at)| !is_granted_anew(*at)).map(|(reason, _)| reason)
    };
    let why_not = |revision: &Revision| match trip_of(revision) {
        Some(reason) => Some(("tripped", reason.clone())),
        None => match binding::cover(grant, &revision.offered(), granted.as_ref()) {
            Cover::Bound | Cover::Followed => None,
            Cover::Waits(reason) => Some(("suspended", reason)),
        },
    };
    let refusal = present.map(|present| why_not(present));
    if let (Some(present), Some(None)) = (present, &refusal) {
        return Choice {
            state: live_state(present),
            revision: Some(Arc::clone(present)),
            waiting: None,
        };
    }
    let refusal = refusal.flatten();
    let has_tripped = matches!(refusal, Some(("tripped", _)));
    let others =
        earlier.iter().filter(|one| present.is_none_or(|present| present.digest != one.digest));
    let running = others.into_iter().find_map(|one| match why_not(one) {
        None => Some(one.under(grant, terms.ceiling)),
        // Instead of one that tripped: the last good one, under what both its
        // own grant and the present one allow.
        Some(("suspended", _)) if has_tripped && grant.binding.is_some() => {
            Some(one.under_both(grant, terms.ceiling))
        }
        Some(_) => None,
    });
    let waiting = present.zip(refusal.clone()).map(|(present, (state, reason))| Waiting {
        revision: present.digest,
        state,
        reason,
    });
    match running {
        Some(running) => {
            Choice { state: live_state(&running), revision: Some(Arc::new(running)), waiting }
        }
        None => Choice {
            state: match refusal {
                Some(("tripped", reason)) => State::Tripped(reason),
                Some((_, reason)) => State::Suspended(format!("needs grant: {reason}")),
                None => State::Suspended(
                    "the file is broken, and no earlier revision is granted".to_owned(),
                ),
            },
            revision: present.or(earlier.first()).cloned(),
            waiting: None,
        },
    }
}

fn live_state(revision: &Revision) -> State {
    match revision.effective_mode {
        Mode::Disabled => State::Disabled,
        mode => State::Live(mode),
    }
}

/// The revisions before this one, bound by what holds now as well.
fn retired(
    earlier: &[Arc<Revision>],
    now: Option<&Revision>,
    grant: &Arc<Grant>,
    terms: &Terms,
) -> Vec<Arc<Revision>> {
    earlier
        .iter()
        .filter(|revision| now.is_none_or(|now| revision.digest != now.digest))
        .take(MAX_RETIRED)
        .map(|revision| Arc::new(revision.under_both(grant, terms.ceiling)))
        .collect()
}

/// A line of `recipe list`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub name: String,
    #[serde(flatten)]
    pub state: State,
    pub trigger: Option<String>,
    pub priority: Option<i32>,
    /// What the file wants.
    pub file_mode: Option<Mode>,
    /// What the operator granted; absent without a grant.
    pub granted_mode: Option<Mode>,
    pub revision: Option<Digest>,
    pub warnings: Vec<String>,
    /// Why the file that lies there is not what runs: it is broken, ...
    pub rejected: Vec<String>,
    /// ... or it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

impl Summary {
    fn of(entry: &Entry) -> Self {
        let revision = entry.revision.as_deref();
        let recipe = revision.map(|revision| revision.recipe.as_ref());
        let is_granted = !matches!(entry.state, State::Suspended(_));
        Self {
            name: entry.name.clone(),
            state: entry.state.clone(),
            trigger: recipe.map(|recipe| recipe.trigger.kind.clone()),
            priority: recipe.map(|recipe| recipe.priority),
            file_mode: recipe.map(|recipe| recipe.mode),
            granted_mode: revision.filter(|_| is_granted).map(|revision| revision.grant.mode),
            revision: revision.map(|revision| revision.digest),
            warnings: recipe.map(|recipe| recipe.warnings.clone()).unwrap_or_default(),
            rejected: entry.rejected.iter().map(ToString::to_string).collect(),
            waiting: entry.waiting.clone(),
        }
    }
}
