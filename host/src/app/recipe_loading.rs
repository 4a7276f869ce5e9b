//! From the folders to what the registry holds: reads recipes, components and
//! grants, checks them, compiles components. The only way in which a recipe
//! gets from a file to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::kept_components::KeptComponents;
use crate::capabilities::model_questions::ModelQuestions;
use crate::clock::TimestampMs;
use crate::config::Config;
use crate::grants::{self, Grant, need};
use crate::home::{Home, HomeError};
use crate::ids::Digest;
use crate::model_files::ModelFiles;
use crate::recipes::folder::{self, Folder, Owners};
use crate::recipes::registry::{
    Candidate, Entry, GrantFile, LoadedFile, Registry, Revision, State,
};
use crate::recipes::{ComponentSource, Known, Recipe, manifest};
use crate::roles::Roles;
use crate::shipped;
use crate::stage::{ComponentId, World};
use crate::store::{self, PastGrant, Reader, Store};
use crate::strict_toml::Problem;
use crate::wasm::{ComponentReport, WasmSandbox};

/// What a component without a recipe is called.
const LOOSE_FILE: &str = "candidate.wasm";

/// Revisions before the present one that are looked at when it may not run.
const MAX_RESTORED: u32 = 4;

/// What lies in the folders, and what of it was good.
pub struct Loaded {
    pub files: Vec<LoadedFile>,
    recipes: Folder,
}

/// Reads and checks the recipes of a home.
pub struct RecipeLoader {
    home: Home,
    sandbox: Arc<WasmSandbox>,
    questions: Arc<ModelQuestions>,
    models_known: BTreeSet<String>,
    models_on_disk: BTreeSet<String>,
    aliases: BTreeMap<String, String>,
    bundled: BTreeMap<String, ComponentReport>,
    /// Users whose grants are taken.
    grant_owners: Owners,
}

impl RecipeLoader {
    /// Compiles the bundled components, or takes them from the cache.
    ///
    /// # Errors
    /// When a bundled component does not load, which means a broken build.
    pub fn new(
        home: Home,
        config: &Config,
        sandbox: Arc<WasmSandbox>,
        questions: Arc<ModelQuestions>,
        files: &ModelFiles,
    ) -> anyhow::Result<Self> {
        let mut bundled = BTreeMap::new();
        for (name, bytes) in shipped::BUNDLED {
            let report = sandbox
                .load_bundled(bytes)
                .with_context(|| format!("cannot load the bundled component {name}"))?;
            bundled.insert((*name).to_owned(), report);
        }
        let entries = files.catalogue().entries();
        Ok(Self {
            grant_owners: owners_of(&config.roles),
            home,
            sandbox,
            questions,
            models_known: entries.iter().map(|entry| entry.name.clone()).collect(),
            models_on_disk: entries
                .iter()
                .filter(|entry| files.find(entry).is_some())
                .map(|entry| entry.name.clone())
                .collect(),
            aliases: config.models.clone(),
            bundled,
        })
    }

    /// Everything that lies in recipes/, each with its grant. `reader` knows the
    /// revisions that were live before.
    ///
    /// # Errors
    /// When one of the folders cannot be listed, or the database not be read. A
    /// broken file is part of the answer.
    pub async fn load(&self, reader: Option<&Reader>) -> anyhow::Result<Loaded> {
        let recipes = self.read(&self.home.recipes(), "recipes")?;
        let grants = self.read_grants()?;
        let tripped: BTreeSet<String> = match reader {
            Some(reader) => reader.trips()?.into_iter().map(|trip| trip.recipe).collect(),
            None => BTreeSet::new(),
        };
        let mut files = Vec::new();
        for (name, content) in &recipes.toml {
            let content = match content {
                Ok(bytes) => self.candidate(name, bytes, &recipes).await,
                Err(problem) => Err(vec![problem.clone()]),
            };
            let grant = grant_of(name, &grants);
            let restored = match (reader, &grant) {
                (Some(reader), GrantFile::Granted(granted, _))
                    if tripped.contains(name) || !is_bound(&content, &grant) =>
                {
                    self.restored(name, granted.binding, reader).await?
                }
                _ => Vec::new(),
            };
            let name = name.clone();
            files.push(LoadedFile { name, content, is_gone: false, grant, restored });
        }
        files.extend(gone_guards(&recipes, &grants));
        Ok(Loaded { files, recipes })
    }

    /// What runs now, each with its grant as it is now. Compiles nothing.
    ///
    /// # Errors
    /// When grants/ cannot be listed.
    pub fn regranted(&self, registry: &Registry) -> anyhow::Result<Vec<LoadedFile>> {
        let grants = self.read_grants()?;
        let file = |entry: &Entry| LoadedFile {
            name: entry.name.clone(),
            content: match &entry.revision {
                Some(revision) => Ok(revision.as_candidate()),
                None => Err(entry.problems()),
            },
            is_gone: entry.is_gone(),
            grant: grant_of(&entry.name, &grants),
            restored: Vec::new(),
        };
        let is_there = |file: &LoadedFile| !file.is_gone || file.grant.stands_guard();
        Ok(registry.entries().map(file).filter(is_there).collect())
    }

    /// Forgets compiled components that no revision has any more. Calls in
    /// flight keep theirs.
    pub fn unload_others(&self, registry: &Registry) {
        let mut kept = registry.components();
        kept.extend(self.bundled.values().map(|report| report.id));
        self.sandbox.unload_others(&kept);
    }

    /// Revisions of a recipe that were live, as far as they can still be loaded.
    async fn restored(
        &self,
        name: &str,
        granted: Option<Digest>,
        reader: &Reader,
    ) -> anyhow::Result<Vec<(Candidate, Arc<Grant>)>> {
        let mut revisions = reader.live_revisions(name, MAX_RESTORED)?;
        // Whatever was followed since: edits are compared with this one.
        if let Some(granted) = granted
            && let Some(revision) = reader.revision_bound(name, &granted)?
            && revisions.iter().all(|known| known.digest != revision.digest)
        {
            revisions.push(revision);
        }
        let mut restored = Vec::new();
        // Somebody who may not look into state/ can still check a recipe.
        let kept = KeptComponents::open(&self.home.kept_components()).ok();
        for stored in revisions {
            let Ok(grant) = grants::parse(name, &stored.grant) else { continue };
            let mut folder = Folder::default();
            for (file, digest) in &stored.components {
                if let Some(bytes) = kept.as_ref().and_then(|kept| kept.find(digest)) {
                    folder.wasm.insert(file.clone(), Ok(bytes));
                }
            }
            if let Ok(candidate) = self.candidate(name, stored.source.as_bytes(), &folder).await {
                restored.push((candidate, Arc::new(grant)));
            }
        }
        Ok(restored)
    }

    /// Checks one recipe, which need not lie in the folder; its components do.
    ///
    /// # Errors
    /// Every problem of the file and of the components that it names.
    pub async fn check(&self, name: &str, bytes: &[u8]) -> Result<Candidate, Vec<Problem>> {
        let folder = self.read(&self.home.recipes(), "recipes").map_err(|error| {
            vec![Problem::in_file(&manifest::file_name(name), format!("{error:#}"))]
        })?;
        self.candidate(name, bytes, &folder).await
    }

    /// Checks a component that is in no recipe, in the smallest recipe around
    /// it: its world's stage, and nothing else.
    ///
    /// # Errors
    /// What is wrong with the component.
    pub async fn check_component(&self, bytes: &[u8]) -> Result<Candidate, Vec<Problem>> {
        let loose = |what: String| vec![Problem::in_file(LOOSE_FILE, what)];
        let report = self.sandbox.load(bytes).await.map_err(|error| loose(error.to_string()))?;
        let stage = match report.world {
            World::Filter => format!(
                "[filter]\ncomponent = \"{LOOSE_FILE}\"\n[evaluate]\ndefault_action = \"log\""
            ),
            World::Hotwire => {
                format!("[evaluate]\ncomponent = \"{LOOSE_FILE}\"\nfallback_action = \"log\"")
            }
            World::Action => {
                format!(
                    "[evaluate]\ndefault_action = \"act\"\n[actions.act]\ncomponent = \"{LOOSE_FILE}\""
                )
            }
        };
        let recipe = format!("mode = \"manual\"\n[trigger]\ntype = \"on_mail\"\n{stage}\n");
        let mut folder = Folder::default();
        folder.wasm.insert(LOOSE_FILE.to_owned(), Ok(bytes.to_vec()));
        self.candidate("candidate", recipe.as_bytes(), &folder).await
    }

    /// The grant that lies in grants/ for a recipe.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn grant(&self, name: &str) -> anyhow::Result<GrantFile> {
        Ok(grant_of(name, &self.read_grants()?))
    }

    fn read_grants(&self) -> anyhow::Result<Folder> {
        let path = self.home.grants();
        let dir = self.home.dir(&path)?;
        folder::read_owned(&dir, "grants", &self.grant_owners)
            .with_context(|| format!("cannot read {}", path.display()))
    }

    /// Keeps every live revision, and every grant that is in force. What can be kept
    /// is, also where a component's copy cannot.
    ///
    /// # Errors
    /// When the database or a component's copy cannot be written.
    pub async fn remember(
        &self,
        store: &Store,
        registry: &Registry,
        loaded: &Loaded,
        now: TimestampMs,
    ) -> anyhow::Result<()> {
        let mut grants = Vec::new();
        let mut copies = Ok(());
        for entry in registry.entries() {
            let Some(revision) = &entry.revision else { continue };
            let is_granted = revision.grant.binding.is_some();
            grants.push(PastGrant {
                recipe: entry.name.clone(),
                digest: revision.grant.digest,
                content: if is_granted { grants::to_toml(&revision.grant) } else { String::new() },
                at: now,
            });
            if matches!(entry.state, State::Live(_)) {
                copies = copies.and(self.keep_components(revision, &loaded.recipes));
                let components = revision
                    .components
                    .iter()
                    .map(|(source, id)| (source.to_string(), id.0))
                    .collect();
                store
                    .remember_revision(store::Revision {
                        name: revision.recipe.name.clone(),
                        digest: revision.digest,
                        canonical: revision.recipe.canonical_text.clone(),
                        components,
                        first_seen: now,
                        source: revision.source.to_string(),
                        grant: grants::to_toml(&revision.grant),
                        binding: revision.binding,
                        granted: revision.grant.binding,
                    })
                    .await?;
            }
        }
        store.remember_grants(grants).await?;
        copies
    }

    fn keep_components(&self, revision: &Revision, recipes: &Folder) -> anyhow::Result<()> {
        for (source, id) in &revision.components {
            if let ComponentSource::File(name) = source
                && let Some(Ok(bytes)) = recipes.wasm.get(name)
                && Digest::of(bytes) == id.0
            {
                let folder = KeptComponents::open(&self.home.kept_components());
                folder.and_then(|kept| kept.keep(bytes)).with_context(|| {
                    format!("cannot keep a copy of {name} in state/components: a restart after a change of recipes/ would not find what was granted")
                })?;
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path, label: &str) -> anyhow::Result<Folder> {
        let dir = self.home.dir(path).map_err(|error| match error {
            // The words that scripts of the earlier thrall look for.
            HomeError::Open { path, source } if source.kind() == io::ErrorKind::NotFound => {
                anyhow!(
                    "Recipes directory not found: {} is missing, create it or put it back",
                    path.display()
                )
            }
            other => other.into(),
        })?;
        folder::read(&dir, label).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What exists outside a recipe file and decides whether it is right.
    fn known(&self) -> Known {
        let prompts = self.questions.prompts.load();
        Known {
            prompts: prompts
                .iter()
                .map(|prompt| {
                    let kinds = prompt
                        .kinds
                        .iter()
                        .map(|kind| (kind.name.clone(), kind.action.clone()))
                        .collect();
                    (prompt.name.clone(), kinds)
                })
                .collect(),
            placeholders: prompts
                .iter()
                .map(|prompt| (prompt.name.clone(), prompt.placeholders()))
                .collect(),
            models_on_disk: self.models_on_disk.clone(),
            models_known: self.models_known.clone(),
            model_aliases: self.aliases.clone(),
        }
    }

    async fn candidate(
        &self,
        name: &str,
        bytes: &[u8],
        folder: &Folder,
    ) -> Result<Candidate, Vec<Problem>> {
        let recipe = manifest::parse_bytes(name, bytes, &self.known())?;
        let (components, imports) = self.components(&recipe, folder).await?;
        let needs = need::of_recipe(&recipe, &imports, &|prompt, model| {
            self.questions.model_of(prompt, model)
        });
        Ok(Candidate {
            recipe: Arc::new(recipe),
            components,
            needs: needs.into(),
            source: String::from_utf8_lossy(bytes).into(),
        })
    }

    async fn components(
        &self,
        recipe: &Recipe,
        folder: &Folder,
    ) -> Result<(BTreeMap<ComponentSource, ComponentId>, Vec<String>), Vec<Problem>> {
        let mut components = BTreeMap::new();
        let mut imports = BTreeSet::new();
        let mut problems = Vec::new();
        for (stage, world, spec) in recipe.stages() {
            match self.component(&spec.component, world, folder).await {
                Ok(report) => {
                    components.insert(spec.component.clone(), report.id);
                    // Bundled components are the host's own; what they ask for
                    // stands in the recipe.
                    if matches!(spec.component, ComponentSource::File(_)) {
                        imports.extend(report.imports);
                    }
                }
                Err(what) => {
                    let what = format!("stage {stage}: component {}: {what}", spec.component);
                    problems.push(Problem::in_file(&manifest::file_name(&recipe.name), what));
                }
            }
        }
        if problems.is_empty() {
            Ok((components, imports.into_iter().collect()))
        } else {
            Err(problems)
        }
    }

    async fn component(
        &self,
        source: &ComponentSource,
        world: World,
        folder: &Folder,
    ) -> Result<ComponentReport, String> {
        let report = match source {
            ComponentSource::Bundled(name) => self
                .bundled
                .get(name)
                .cloned()
                .ok_or_else(|| "is not part of this thrall".to_owned())?,
            ComponentSource::File(name) => {
                let bytes = folder.wasm.get(name).ok_or_else(|| "is not in recipes/".to_owned())?;
                let bytes = bytes.as_ref().map_err(ToString::to_string)?;
                self.sandbox.load(bytes.as_slice()).await.map_err(|error| error.to_string())?
            }
        };
        if report.world == world {
            Ok(report)
        } else {
            Err(format!(
                "is a {} component, this stage needs a {}",
                report.world.as_str(),
                world.as_str()
            ))
        }
    }
}

/// Grants that let a recipe answer questions, without the recipe: whoever takes a
/// guard's file away has not let out what it guards. A grant that cannot be read
/// says nothing of a recipe that is not there.
fn gone_guards(recipes: &Folder, grants: &Folder) -> Vec<LoadedFile> {
    let names = grants.toml.keys().filter(|name| !recipes.toml.contains_key(*name));
    names
        .map(|name| (name, grant_of(name, grants)))
        .filter(|(_, grant)| matches!(grant, GrantFile::Granted(..)) && grant.stands_guard())
        .map(|(name, grant)| {
            let why = format!(
                "the recipe is gone, and its grant lets it answer questions: put it back, or remove grants/{name}.toml"
            );
            LoadedFile {
                name: name.clone(),
                content: Err(vec![Problem::in_file(&manifest::file_name(name), why)]),
                is_gone: true,
                grant,
                restored: Vec::new(),
            }
        })
        .collect()
}

/// Whether a file is the one that its grant is for, so that nothing before it
/// matters. Without a grant nothing runs, whatever there was.
fn is_bound(content: &Result<Candidate, Vec<Problem>>, grant: &GrantFile) -> bool {
    match (content, grant) {
        (Ok(candidate), GrantFile::Granted(grant, _)) => grant.binding == Some(candidate.binding()),
        (Err(_), GrantFile::Granted(..)) => false,
        _ => true,
    }
}

/// Whose grants are taken: root's, the service's, the operators'.
fn owners_of(roles: &Roles) -> Owners {
    let mut owners = Owners::of_this_process();
    owners.users.push(roles.service);
    owners.users.extend(&roles.operator_users);
    owners.groups.extend(&roles.operator_groups);
    owners
}

fn grant_of(name: &str, folder: &Folder) -> GrantFile {
    match folder.toml.get(name) {
        None => GrantFile::Absent,
        Some(Err(problem)) => GrantFile::Broken(vec![problem.clone()]),
        Some(Ok(bytes)) => match grants::parse_bytes(name, bytes) {
            Ok(grant) => {
                let written = folder.written.get(name).copied().unwrap_or_default();
                GrantFile::Granted(Arc::new(grant), written)
            }
            Err(problems) => GrantFile::Broken(problems),
        },
    }
}
