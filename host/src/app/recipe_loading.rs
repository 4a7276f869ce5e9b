//! From the folders to what the registry holds: reads recipes, components and
//! grants, checks them, compiles components. The only way in which a recipe
//! gets from a file to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::capabilities::model_questions::ModelQuestions;
use crate::clock::TimestampMs;
use crate::config::Config;
use crate::grants;
use crate::home::Home;
use crate::ids::Digest;
use crate::model_files::ModelFiles;
use crate::recipes::folder::{self, Folder};
use crate::recipes::registry::{Candidate, GrantFile, LoadedFile, Registry};
use crate::recipes::{ComponentSource, Known, Recipe, manifest};
use crate::shipped;
use crate::stage::{ComponentId, World};
use crate::store::{self, Store, StoreError};
use crate::strict_toml::Problem;
use crate::wasm::{ComponentReport, WasmSandbox};

/// What a component without a recipe is called.
const LOOSE_FILE: &str = "candidate.wasm";

/// Reads and checks the recipes of a home.
pub struct RecipeLoader {
    home: Home,
    sandbox: Arc<WasmSandbox>,
    questions: Arc<ModelQuestions>,
    models_known: BTreeSet<String>,
    models_on_disk: BTreeSet<String>,
    aliases: BTreeMap<String, String>,
    bundled: BTreeMap<String, ComponentReport>,
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

    /// Everything that lies in recipes/, each with its grant.
    ///
    /// # Errors
    /// When one of the folders cannot be listed. A broken file is part of the
    /// answer.
    pub async fn load(&self) -> anyhow::Result<Vec<LoadedFile>> {
        let recipes = self.read(&self.home.recipes(), "recipes")?;
        let grants = self.read(&self.home.grants(), "grants")?;
        let mut loaded = Vec::new();
        for (name, content) in &recipes.toml {
            let content = match content {
                Ok(bytes) => self.candidate(name, bytes, &recipes).await,
                Err(problem) => Err(vec![problem.clone()]),
            };
            loaded.push(LoadedFile { name: name.clone(), content, grant: grant_of(name, &grants) });
        }
        Ok(loaded)
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
        Ok(grant_of(name, &self.read(&self.home.grants(), "grants")?))
    }

    /// Keeps the text of every loaded revision.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remember(
        &self,
        store: &Store,
        registry: &Registry,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        for revision in registry.entries().filter_map(|entry| entry.revision.as_ref()) {
            let components: Vec<(String, Digest)> =
                revision.components.iter().map(|(source, id)| (source.to_string(), id.0)).collect();
            store
                .remember_revision(store::Revision {
                    name: revision.recipe.name.clone(),
                    digest: revision.digest,
                    canonical: revision.recipe.canonical_text.clone(),
                    components,
                    first_seen: now,
                })
                .await?;
        }
        Ok(())
    }

    fn read(&self, path: &Path, label: &str) -> anyhow::Result<Folder> {
        let dir = self.home.dir(path)?;
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
        let components = self.components(&recipe, folder).await?;
        Ok(Candidate { recipe: Arc::new(recipe), components })
    }

    async fn components(
        &self,
        recipe: &Recipe,
        folder: &Folder,
    ) -> Result<BTreeMap<ComponentSource, ComponentId>, Vec<Problem>> {
        let mut components = BTreeMap::new();
        let mut problems = Vec::new();
        for (stage, world, spec) in recipe.stages() {
            match self.component(&spec.component, world, folder).await {
                Ok(id) => {
                    components.insert(spec.component.clone(), id);
                }
                Err(what) => {
                    let what = format!("stage {stage}: component {}: {what}", spec.component);
                    problems.push(Problem::in_file(&manifest::file_name(&recipe.name), what));
                }
            }
        }
        if problems.is_empty() { Ok(components) } else { Err(problems) }
    }

    async fn component(
        &self,
        source: &ComponentSource,
        world: World,
        folder: &Folder,
    ) -> Result<ComponentId, String> {
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
            Ok(report.id)
        } else {
            Err(format!(
                "is a {} component, this stage needs a {}",
                report.world.as_str(),
                world.as_str()
            ))
        }
    }
}

fn grant_of(name: &str, folder: &Folder) -> GrantFile {
    match folder.toml.get(name) {
        None => GrantFile::Absent,
        Some(Err(problem)) => GrantFile::Broken(vec![problem.clone()]),
        Some(Ok(bytes)) => match grants::parse_bytes(name, bytes) {
            Ok(grant) => GrantFile::Granted(Arc::new(grant)),
            Err(problems) => GrantFile::Broken(problems),
        },
    }
}
