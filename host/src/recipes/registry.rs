//! Which recipes are loaded, in which state: a snapshot that is swapped whole.
//! A run keeps the snapshot that it started with. Pure: reading the folder is
//! in `recipes/folder.rs`, compiling components the application's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{ComponentSource, Mode, Recipe, matching};
use crate::envelope::Envelope;
use crate::grants::Grant;
use crate::ids::Digest;
use crate::stage::ComponentId;
use crate::strict_toml::Problem;

/// Earlier revisions of a recipe that are kept for events which matched them
/// when they were accepted.
const MAX_RETIRED: usize = 4;

/// One version of a recipe with the components that it was checked with, and
/// the grant that binds it.
#[derive(Clone, Debug)]
pub struct Revision {
    pub recipe: Arc<Recipe>,
    /// Of the canonical recipe and its components; mode and grant left out.
    pub digest: Digest,
    pub components: BTreeMap<ComponentSource, ComponentId>,
    /// The lower of the file's and the grant's mode.
    pub effective_mode: Mode,
    pub grant: Arc<Grant>,
}

impl Revision {
    pub fn new(
        recipe: Arc<Recipe>,
        components: BTreeMap<ComponentSource, ComponentId>,
        grant: Arc<Grant>,
    ) -> Self {
        let digest = revision_digest(&recipe, &components);
        let effective_mode = recipe.mode.min(grant.mode);
        Self { recipe, digest, components, effective_mode, grant }
    }

    /// The same revision under the grant and the mode that hold now.
    fn rebound(&self, mode: Mode, grant: &Arc<Grant>) -> Self {
        Self { effective_mode: mode.min(grant.mode), grant: Arc::clone(grant), ..self.clone() }
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

/// Where a recipe stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "lowercase")]
pub enum State {
    Live(Mode),
    /// Good, and not allowed to run: says why.
    Suspended(String),
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
    pub grant: GrantFile,
}

/// A recipe that passed every check, with its compiled components.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub recipe: Arc<Recipe>,
    pub components: BTreeMap<ComponentSource, ComponentId>,
}

/// What lies in `grants/` for a recipe.
#[derive(Clone, Debug)]
pub enum GrantFile {
    Absent,
    /// Suspends the recipe: what the operator meant is not known, and an older
    /// grant might allow more.
    Broken(Vec<Problem>),
    Granted(Arc<Grant>),
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
    retired: Vec<Arc<Revision>>,
}

/// All loaded recipes.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: BTreeMap<String, Entry>,
    /// Live revisions in the order in which they run.
    live: Vec<Arc<Revision>>,
}

impl Registry {
    /// The registry after the folder was read anew. A broken file leaves its
    /// running revision in place, a file that is gone takes its recipe along.
    /// Grants hold at once, for earlier revisions too.
    pub fn apply(previous: &Self, loaded: Vec<LoadedFile>) -> Self {
        let entries: BTreeMap<String, Entry> = loaded
            .into_iter()
            .map(|file| {
                let entry = entry_of(previous.entries.get(&file.name), file);
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
    fn live_revision(&self) -> Option<&Arc<Revision>> {
        self.revision.as_ref().filter(|_| matches!(self.state, State::Live(_)))
    }
}

fn entry_of(previous: Option<&Entry>, file: LoadedFile) -> Entry {
    let LoadedFile { name, content, grant } = file;
    let (candidate, rejected) = match content {
        Ok(candidate) => (Some(candidate), Vec::new()),
        Err(problems) => {
            let running = previous.and_then(|entry| entry.revision.as_ref());
            let kept = running.map(|revision| Candidate {
                recipe: Arc::clone(&revision.recipe),
                components: revision.components.clone(),
            });
            (kept, problems)
        }
    };
    let Some(candidate) = candidate else {
        return Entry {
            name,
            state: State::Rejected(rejected),
            revision: None,
            rejected: Vec::new(),
            retired: Vec::new(),
        };
    };
    let (grant, refusal) = match grant {
        GrantFile::Granted(grant) => (grant, None),
        GrantFile::Absent => {
            let reason = format!("needs grant: write grants/{name}.toml");
            (Arc::new(Grant::nothing(&name)), Some(reason))
        }
        GrantFile::Broken(problems) => {
            let first =
                problems.first().map_or_else(|| "unreadable".to_owned(), ToString::to_string);
            (Arc::new(Grant::nothing(&name)), Some(format!("needs grant: {first}")))
        }
    };
    let mode = candidate.recipe.mode;
    let revision =
        Arc::new(Revision::new(candidate.recipe, candidate.components, Arc::clone(&grant)));
    let state = match refusal {
        _ if mode == Mode::Disabled => State::Disabled,
        Some(reason) => State::Suspended(reason),
        None if revision.effective_mode == Mode::Disabled => State::Disabled,
        None => State::Live(revision.effective_mode),
    };
    let retired = previous.map(|entry| retired(entry, &revision, mode, &grant)).unwrap_or_default();
    Entry { name, state, revision: Some(revision), rejected, retired }
}

/// The revisions before this one, bound by what holds now.
fn retired(previous: &Entry, now: &Revision, mode: Mode, grant: &Arc<Grant>) -> Vec<Arc<Revision>> {
    previous
        .revision
        .iter()
        .chain(&previous.retired)
        .filter(|revision| revision.digest != now.digest)
        .take(MAX_RETIRED)
        .map(|revision| Arc::new(revision.rebound(mode, grant)))
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
    /// Why the file that lies there is not what runs.
    pub rejected: Vec<String>,
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
        }
    }
}
