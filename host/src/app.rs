//! The composition root: from a home and its configuration to running
//! services. Nothing else constructs live ones. Loading recipes is in
//! `app/recipe_loading.rs`, which prompts are in use in `app/prompt_use.rs`, when
//! to read them in `app/reload.rs`, performing in `app/performing.rs`, following
//! logs in `app/log_watch.rs`, what buffers hold in `app/buffer_listing.rs`.

pub mod breaker_desk;
pub mod buffer_listing;
pub mod changes;
pub mod grant_files;
pub mod health;
pub mod kept_components;
pub mod listings;
pub mod log_watch;
mod missing_models;
pub mod performing;
pub mod prompt_desk;
pub mod prompt_listings;
pub mod prompt_shelf;
mod prompt_use;
pub mod reading;
pub mod recipe_loading;
pub mod reload;
pub mod reloader;
pub mod state_owner;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::buffers::{Flush, FlushRules};
use crate::capabilities::gathered_files::FileGatherer;
use crate::capabilities::live::{LiveAnswers, LiveFacts};
use crate::capabilities::meter::LiveMeter;
use crate::capabilities::model_questions::ModelQuestions;
use crate::capabilities::no_node::NoNode;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, TimestampMs};
use crate::config::{Config, Source};
use crate::engine::{Engine, EngineParts, EngineRules, Observer, Pace};
use crate::envelope::Field;
use crate::envelope::json::Draft;
use crate::envelope::sender::Tier;
use crate::fault_points::{self, FaultHook};
use crate::home::Home;
use crate::model::catalogue::ModelKind;
use crate::model::{EmbeddedLlama, EmbeddedOptions, EmbedderOptions, LlamaEmbedder, ModelRouter};
use crate::model_files::ModelFiles;
use crate::outbox::breaker_rows::Tripping;
use crate::outbox::{Artifacts, Node, Performer, Readers};
use crate::pipeline::Switches;
use crate::pipeline::guard::GuardRules;
use crate::pipeline::ports::{Cockpit, Ports};
use crate::recipes::registry::{Entry, Registry, State, Terms};
use crate::recipes::trip_wire::Trip;
use crate::roles::accounts::Accounts;
use crate::roles::{self, Roles};
use crate::store::{Reader, Store, StoreError, TrippedRevision};
use crate::telemetry::EventLog;
use crate::wasm::{SandboxSettings, WasmSandbox};
use breaker_desk::BreakerDesk;
use buffer_listing::{Flushed, ListedBuffer};
use health::Health;
use log_watch::LogWatch;
use performing::Performing;
use prompt_shelf::Shelf;
use prompt_use::settle;
use reading::Reading;
use recipe_loading::RecipeLoader;

/// Everything that a service, or a command that decides, consists of.
pub struct App {
    pub home: Home,
    config: ArcSwap<Config>,
    pub store: Arc<Store>,
    pub engine: Engine,
    pub registry: Arc<ArcSwap<Registry>>,
    pub questions: Arc<ModelQuestions>,
    pub log: Arc<EventLog>,
    pub clock: Arc<dyn Clock>,
    loader: RecipeLoader,
    /// Where models are looked for.
    files: Option<ModelFiles>,
    breakers: Arc<Breakers>,
    pub breaker_desk: Arc<BreakerDesk>,
    rules: Arc<ArcSwap<EngineRules>>,
    /// What stood in thrall.toml when it was last refused.
    config_problem: ArcSwap<Vec<String>>,
    /// Why revisions, grants or components could not be written down.
    keeping_problem: ArcSwap<Vec<String>>,
    last_reading: ArcSwap<Reading>,
    last_tick: Mutex<Option<TimestampMs>>,
    /// One at a time: two that take the same rows would each finish them.
    performing: Performing,
    /// What the last reading of prompts found beside those in use.
    shelf: ArcSwap<Shelf>,
    /// Logs that are followed. One round at a time.
    logs: tokio::sync::Mutex<LogWatch>,
    /// Revisions that failed too often and are still live.
    trips: Mutex<mpsc::UnboundedReceiver<Trip>>,
    faults: FaultHook,
    started: std::time::Instant,
}

/// What may stand in for parts of the outside world. A service has none of it
/// but, one day, its node.
#[derive(Default)]
pub struct Outside {
    /// Sees each commit when it is durable.
    pub observer: Option<Observer>,
    /// Where mail, skills and wakes go.
    pub node: Option<Arc<dyn Node>>,
    /// Who answers questions to models, whatever their name.
    pub models: Option<ModelRouter>,
    pub faults: Option<FaultHook>,
    /// What recipes may look at of the node.
    pub cockpit: Option<Arc<dyn Cockpit>>,
    /// The program that compiles components, if it is not this one.
    pub worker_program: Option<PathBuf>,
}

/// The parts that decide, without a database to write: what a dry run needs.
pub struct Deciders {
    pub sandbox: Arc<WasmSandbox>,
    pub questions: Arc<ModelQuestions>,
    pub loader: RecipeLoader,
    /// What lies in prompts/ beside the prompts in use.
    pub shelf: Shelf,
}

/// What a run depends on besides its inputs; part of `host_inputs`.
pub const ENGINE: &str = concat!("thrall ", env!("CARGO_PKG_VERSION"), ", wasmtime 48.0.8");

/// Starts sandbox, model service and prompts for a home. The model itself
/// loads with the first question.
///
/// # Errors
/// When the sandbox cannot start, or the home's own catalogue is broken.
pub fn deciders(home: &Home, config: &Config) -> anyhow::Result<Deciders> {
    // Without a database that this user may read there are the files.
    let reader = Reader::open(&home.state()).ok();
    deciders_with(home, config, reader.as_ref(), None, None)
}

fn deciders_with(
    home: &Home,
    config: &Config,
    reader: Option<&Reader>,
    models: Option<ModelRouter>,
    worker: Option<PathBuf>,
) -> anyhow::Result<Deciders> {
    let sandbox = WasmSandbox::new(SandboxSettings {
        cache_folder: home.code_cache(),
        worker_program: match worker {
            Some(program) => program,
            None => worker_program()?,
        },
        concurrent_calls: SandboxSettings::CONCURRENT_CALLS,
    })
    .context("cannot start the sandbox")?;
    let sandbox = Arc::new(sandbox);
    let files = ModelFiles::of_home(home)?;
    let shelf = Shelf::read(home, reader)?;
    let questions = Arc::new(ModelQuestions {
        prompts: ArcSwap::from_pointee(shelf.library.clone()),
        router: match models {
            Some(models) => models,
            None => router(&files, config)?,
        },
        default_model: config.model.default.clone(),
        aliases: config.models.clone(),
        timeout: config.model.timeout,
        threshold: config.model.threshold,
        silence_threshold: config.model.silence_threshold,
    });
    let loader = RecipeLoader::new(
        home.clone(),
        config,
        Arc::clone(&sandbox),
        Arc::clone(&questions),
        &files,
    )?;
    Ok(Deciders { sandbox, questions, loader, shelf })
}

/// Every model of the catalogue, by name. One that is not on disk is registered all
/// the same: asking it says which file is missing.
fn router(files: &ModelFiles, config: &Config) -> anyhow::Result<ModelRouter> {
    let mut router = ModelRouter::default();
    for entry in files.catalogue().entries() {
        let path = files.find(entry).unwrap_or_else(|| files.expected_path(entry));
        let (name, threads) = (Some(entry.name.clone()), config.model.threads);
        let queue_timeout = config.model.queue_timeout;
        router = match entry.kind {
            ModelKind::Chat => {
                let context_tokens = config.model.context_tokens.min(entry.context);
                let options = EmbeddedOptions {
                    name,
                    threads,
                    context_tokens,
                    queue_timeout,
                    ..EmbeddedOptions::new(path)
                };
                router.with(&entry.name, Arc::new(EmbeddedLlama::new(options)?))
            }
            ModelKind::Embedding => {
                let options =
                    EmbedderOptions { name, threads, queue_timeout, ..EmbedderOptions::new(path) };
                router.with_embedder(&entry.name, Arc::new(LlamaEmbedder::new(options)?))
            }
        };
    }
    Ok(router)
}

/// This program, which also is the compile worker.
fn worker_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the path of this program")
}

impl App {
    /// Opens a home: takes its lock, loads its recipes, queues what was left.
    ///
    /// # Errors
    /// When the configuration is broken, another service uses the home, or the
    /// database or the sandbox cannot be opened. A broken recipe is no error:
    /// it is listed as rejected.
    pub async fn open(home: Home, clock: Arc<dyn Clock>, pace: Pace) -> anyhow::Result<Self> {
        Self::open_in(home, clock, pace, Outside::default()).await
    }

    /// As [`App::open`], in a given outside world.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn open_in(
        home: Home,
        clock: Arc<dyn Clock>,
        pace: Pace,
        outside: Outside,
    ) -> anyhow::Result<Self> {
        let Outside { observer, node, models, faults, worker_program, cockpit } = outside;
        let observer = observer.unwrap_or_else(|| Box::new(|_| ()));
        let faults = faults.unwrap_or_else(fault_points::none);
        let cockpit = cockpit.unwrap_or_else(|| Arc::new(NoNode));
        let config = Config::load(&home.config_file())?;
        let store = Arc::new(Store::open(&home.state(), clock.now())?);
        if node.is_some() {
            store.release_held(clock.now()).await?;
        }
        let reader = Arc::new(Reader::open(&home.state())?);
        // Where others answer, it does not matter what is on disk.
        let files = if models.is_none() { Some(ModelFiles::of_home(&home)?) } else { None };
        let Deciders { sandbox, questions, loader, mut shelf } =
            deciders_with(&home, &config, Some(&reader), models, worker_program)?;
        settle(&mut shelf, &store, clock.now()).await?;
        let registry = Arc::new(ArcSwap::from_pointee(Registry::default()));
        let rules = Arc::new(ArcSwap::from_pointee(rules_of(&config)));
        let log = Arc::new(EventLog::open(&home.log_file()));
        let meter = LiveMeter::new(Arc::clone(&store), Arc::clone(&reader));
        let breakers = Breakers::open(&home.breakers(), clock.now())
            .with_context(|| format!("cannot open {}", home.breakers().display()))?;
        breakers.set_usual_expiry(config.breaker_expire_s);
        // Decided before the last end, and not in a file yet. What is none is
        // told when it is performed.
        for row in reader.pending_trips()? {
            if let Ok(tripping) = Tripping::of_row(&row) {
                tripping.hold(&breakers);
            }
        }
        let breakers = Arc::new(breakers);
        let breaker_desk = Arc::new(BreakerDesk::new(
            Arc::clone(&breakers),
            Arc::clone(&store),
            Arc::clone(&log),
            Arc::clone(&clock),
        ));
        let ports = Ports {
            sandbox,
            facts: Arc::new(LiveFacts::new(Arc::clone(&reader), Arc::clone(&breakers))),
            answers: Arc::new(LiveAnswers::new(
                Arc::clone(&reader),
                Arc::clone(&questions),
                Arc::clone(&breakers),
                cockpit,
            )),
            classifier: Arc::clone(&questions) as _,
            meter: Arc::new(meter),
            circuits: Arc::default(),
            gatherer: Arc::new(FileGatherer::new(home.secret_folders())),
            engine: Arc::from(ENGINE),
        };
        let (tripped, trips) = mpsc::unbounded_channel();
        let for_log = Arc::clone(&log);
        let engine = Engine::new(EngineParts {
            store: Arc::clone(&store),
            registry: Arc::clone(&registry),
            rules: Arc::clone(&rules),
            ports,
            breakers: Arc::clone(&breakers),
            clock: Arc::clone(&clock),
            bounds: config.pending,
            pace,
            patience: config.model.queue_timeout,
            tripped,
            faults: Arc::clone(&faults),
            committed: Box::new(move |commit| {
                for_log.decision(commit);
                observer(commit);
            }),
        });
        let artifacts = Artifacts::open(&home.artifacts(), readers_of_briefings(&config.roles))
            .with_context(|| format!("cannot open {}", home.artifacts().display()))?;
        let performer = Arc::new(Mutex::new(Performer::new(
            Arc::clone(&store),
            artifacts,
            Arc::clone(&breakers),
            node,
            Arc::clone(&faults),
        )));
        let performing = Performing {
            performer,
            engine: engine.clone(),
            clock: Arc::clone(&clock),
            log: Arc::clone(&log),
        };
        let app = Self {
            home,
            config: ArcSwap::from_pointee(config),
            rules,
            config_problem: ArcSwap::default(),
            keeping_problem: ArcSwap::default(),
            last_reading: ArcSwap::default(),
            last_tick: Mutex::new(None),
            store,
            engine,
            registry,
            questions,
            log,
            clock,
            loader,
            files,
            breakers,
            breaker_desk,
            performing,
            shelf: ArcSwap::from_pointee(shelf),
            logs: tokio::sync::Mutex::default(),
            trips: Mutex::new(trips),
            faults,
            started: std::time::Instant::now(),
        };
        for candidate in &app.shelf.load().candidates {
            tracing::warn!("{}", candidate.line(&app.home));
        }
        app.load_recipes().await?;
        app.engine.resume()?;
        app.engine.continue_due().await?;
        Ok(app)
    }

    /// What thrall.toml says now.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Starts deciding and performing.
    pub fn start(&self) -> Running {
        let (stop_deciding, stopped) = watch::channel(false);
        let engine = self.engine.clone();
        let deciding = tokio::spawn(async move { engine.run(ended(stopped), RUNS_GRACE).await });
        let (stop_performing, stopped) = watch::channel(false);
        let performing =
            tokio::spawn(self.performing.clone().run(self.store.outbox_signal(), stopped));
        let engine = self.engine.clone();
        Running { engine, stop_deciding, deciding, stop_performing, performing }
    }

    /// Brings the breakers and their folder in step; says how long that took.
    pub async fn look_at_breakers(&self) -> Duration {
        let desk = Arc::clone(&self.breaker_desk);
        let took = tokio::task::spawn_blocking(move || desk.look()).await;
        self.breaker_desk.keep_history().await;
        took.unwrap_or_default()
    }

    /// Brings the prompt of each model recipe into the model's memory, so that
    /// the first message does not pay for it.
    pub async fn warm_model(&self) {
        for revision in
            self.registry.load_full().entries().filter_map(|entry| entry.revision.clone())
        {
            for asking in revision.recipe.evaluators.iter().flat_map(|one| one.kind.questions()) {
                for tier in [Tier::Known, Tier::Unknown] {
                    if let Err(error) = self.questions.warm(asking, tier, &revision.recipe).await {
                        tracing::info!(%error, recipe = revision.recipe.name, "the model is not warm");
                        return;
                    }
                }
            }
        }
    }

    /// Flushes buffers whose time has come.
    pub async fn flush_due(&self) {
        let config = self.config();
        if !config.enabled {
            return;
        }
        let rules = FlushRules { dry_run: config.dry_run, ..config.compilation.clone() };
        let due = self.store.flush_due(self.clock.now(), rules, &self.faults).await;
        if let Err(error) = due {
            tracing::error!(%error, "cannot flush buffers, tried again");
        }
    }

    /// Every buffer, with who fills it and when it is flushed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn buffers(&self) -> Result<Vec<ListedBuffer>, StoreError> {
        let stored = self.store.reader().buffers(self.clock.now())?;
        let config = self.config();
        Ok(buffer_listing::listing(stored, &self.registry.load(), &config.compilation))
    }

    /// Flushes a buffer for the operator.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_buffer(&self, name: String) -> Result<Flushed, StoreError> {
        let dry_run = self.config().dry_run;
        flush_buffer(&self.store, name, self.clock.now(), dry_run, &self.faults).await
    }

    /// Takes away what recipes were to remember until now.
    pub async fn forget_expired(&self) {
        if !self.config().enabled {
            return;
        }
        if let Err(error) = self.store.forget_expired(self.clock.now()).await {
            tracing::error!(error = %error, "cannot take away what has expired, tried again");
        }
    }

    /// Reads thrall.toml again, whole or not at all. What is read only at the
    /// start stays as it is, and is named.
    async fn reload_config(&self) -> Reading {
        let mut reading = Reading::default();
        let file = self.home.config_file();
        let Some(read) = aside(move || Config::load(&file)).await else { return reading };
        match read {
            Ok(read) => {
                let old = self.config();
                let new = Config::after_reload(&old, read);
                for key in &new.needs_restart {
                    tracing::warn!("thrall.toml: {key} changed and takes effect at the next start");
                    reading.needs_restart.push(format!("thrall.toml: {key}"));
                }
                for key in &new.taken_over {
                    tracing::info!("thrall.toml: {key} is taken over");
                    reading.taken_over.push(format!("thrall.toml: {key}"));
                }
                self.rules.store(Arc::new(rules_of(&new.config)));
                self.breakers.set_usual_expiry(new.config.breaker_expire_s);
                self.config.store(Arc::new(new.config));
                self.config_problem.store(Arc::default());
            }
            Err(error) => {
                let problem =
                    format!("thrall.toml is not taken over: {:#}", anyhow::Error::new(error));
                tracing::warn!("{problem}");
                reading.problems.push(problem.clone());
                self.config_problem.store(Arc::new(vec![problem]));
            }
        }
        reading
    }

    /// What the last reading of the home came to.
    pub fn last_reading(&self) -> Reading {
        Reading::clone(&self.last_reading.load())
    }

    /// Reads thrall.toml, recipes, grants and prompts again. What is broken leaves what ran
    /// before in place.
    pub async fn reload(&self) -> bool {
        let before = self.registry.load_full();
        let mut reading = self.reload_config().await;
        if let Err(error) = self.read_prompts().await {
            tracing::warn!(error = format!("{error:#}"), "cannot read prompts, the old ones stay");
            reading.problems.push(format!("prompts cannot be read: {error:#}"));
        }
        let read = self.load_recipes().await;
        if let Err(error) = &read {
            tracing::warn!(error = format!("{error:#}"), "cannot read recipes, tried again");
            reading.problems.push(format!("recipes cannot be read: {error:#}"));
        }
        let registry = self.registry.load();
        for change in changes::between(&before, &registry) {
            tracing::info!("{change}");
            reading.taken_over.push(change);
        }
        reading.problems.extend(recipe_problems(&registry));
        reading.problems.extend(grant_problems(&registry));
        reading.problems.extend(self.shelf.load().problems.iter().cloned());
        self.last_reading.store(Arc::new(reading));
        read.is_ok()
    }

    /// Writes down which revisions failed too often. True when there are any: the
    /// next reading of the recipes takes them out of service and brings the last
    /// good ones back.
    pub async fn take_trips(&self) -> bool {
        let mut tripped = Vec::new();
        while let Ok(trip) = self.trips.lock().unwrap_or_else(PoisonError::into_inner).try_recv() {
            tripped.push(trip);
        }
        for trip in &tripped {
            let by = match trip.senders.len() {
                0 => "on events of the host's own".to_owned(),
                n => format!("on events of {n} senders"),
            };
            let reason = format!(
                "{} failures in a row {by}; to try it again: thrall grant allow {}",
                trip.failures, trip.recipe
            );
            tracing::warn!(
                recipe = trip.recipe,
                revision = trip.revision.short(),
                "tripped: {reason}"
            );
            let kept = self.store.remember_trip(TrippedRevision {
                recipe: trip.recipe.clone(),
                revision: trip.revision,
                reason,
                at: self.clock.now(),
            });
            if let Err(error) = kept.await {
                tracing::error!(%error, "cannot keep a trip");
            }
        }
        !tripped.is_empty()
    }

    async fn load_recipes(&self) -> anyhow::Result<()> {
        let previous = self.registry.load_full();
        let reader = self.store.reader();
        let terms = terms(&self.config(), Some(reader))?;
        // Grants first: however long new components take to compile, what was
        // taken away is gone before that.
        let regranted = Registry::apply(&previous, self.loader.regranted(&previous)?, &terms);
        self.registry.store(Arc::new(regranted));
        let previous = self.registry.load_full();
        let mut loaded = self.loader.load(Some(reader)).await?;
        let files = std::mem::take(&mut loaded.files);
        let registry = Arc::new(Registry::apply(&previous, files, &terms));
        self.registry.store(Arc::clone(&registry));
        self.loader.unload_others(&registry);
        for problem in recipe_problems(&registry).into_iter().chain(grant_problems(&registry)) {
            tracing::warn!("{problem}");
        }
        // In force already: that it cannot be written down takes nothing back.
        if let Err(error) =
            self.loader.remember(&self.store, &registry, &loaded, self.clock.now()).await
        {
            tracing::warn!(error = format!("{error:#}"), "recipes and grants cannot be kept");
            self.keeping_problem.store(Arc::new(vec![format!("{error:#}")]));
        } else {
            self.keeping_problem.store(Arc::default());
        }
        Ok(())
    }

    /// Performs everything that is due, and returns when nothing is left.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn perform_all(&self) -> anyhow::Result<()> {
        self.performing.all().await?;
        self.breaker_desk.keep_history().await;
        Ok(())
    }

    /// Sources that have a socket of their own.
    pub fn sources(&self) -> Vec<Source> {
        self.config().sources.clone()
    }

    pub fn tick_interval(&self) -> Duration {
        self.config().tick_interval
    }

    /// Makes one `on_tick` event.
    pub async fn tick(&self, number: u64) {
        let source = Source {
            name: TICK.to_owned(),
            triggers: vec!["on_tick".to_owned()],
            may_assert_sender: false,
        };
        let now = self.clock.now();
        let last = self.last_tick.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let elapsed = last.map_or_else(
            || self.tick_interval().as_secs(),
            |last| now.0.saturating_sub(last.0) / 1000,
        );
        let draft = Draft {
            id: None,
            trigger: "on_tick".to_owned(),
            fields: vec![
                Field::new("elapsed_s", elapsed.to_string()),
                Field::new("queue_depth", self.engine.waiting().to_string()),
                Field::new("tick", number.to_string()),
                Field::new("uptime_s", self.started.elapsed().as_secs().to_string()),
            ],
        };
        if let Err(error) = self.engine.submit(&source, vec![draft]).await {
            tracing::warn!(%error, "a tick was lost");
        }
    }

    pub fn health(&self) -> Health {
        let registry = self.registry.load();
        let mut problems = recipe_problems(&registry);
        problems.extend(grant_problems(&registry));
        let shelf = self.shelf.load();
        problems.extend(shelf.problems.iter().cloned());
        if let Some(files) = &self.files {
            problems.extend(missing_models::problems(&registry, &self.questions, files));
        }
        problems.extend(self.breakers.problems());
        problems.extend(self.config_problem.load().iter().cloned());
        problems.extend(self.keeping_problem.load().iter().cloned());
        problems.extend(self.store.trouble());
        problems.extend(self.engine.pressure());
        let live = registry.entries().filter(|entry| matches!(entry.state, State::Live(_))).count();
        let config = self.config();
        let separation = config.roles.separation();
        Health {
            status: if problems.is_empty() { "ok" } else { "degraded" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipes_live: live,
            waiting: self.engine.waiting(),
            model: self.model_summary(),
            separation: separation.as_str().to_owned(),
            separation_reason: separation.reason().to_owned(),
            mode_ceiling: roles::ceiling(&config).as_str().to_owned(),
            switches: config.switches(),
            prompt_candidates: shelf.candidates.iter().map(|one| one.line(&self.home)).collect(),
            problems,
        }
    }

    fn model_summary(&self) -> String {
        let config = self.config();
        let name = &config.model.default;
        match self.questions.router.backend(name) {
            Ok(backend) => format!("{name}: {}", backend.summary()),
            Err(error) => error.to_string(),
        }
    }

    /// What `serve` says when it is ready, in the words that scripts wait for.
    pub fn ready_lines(&self) -> Vec<String> {
        let prompts = self.questions.prompts.load();
        let hash =
            prompts.get("triage").map_or_else(|_| "none".to_owned(), |prompt| prompt.hash.clone());
        let registry = self.registry.load();
        let limits = self.config().limits;
        vec![
            format!(
                "Thrall guard initialized: backend=embedded, prompt_hash={hash}, \
                 loop_threshold={}/{}",
                limits.loop_threshold, limits.loop_threshold_sessionless
            ),
            format!(
                "Thrall switchboard ready: {{'recipes': {}, 'prompts': {}}}",
                registry.entries().len(),
                prompts.iter().len()
            ),
        ]
    }
}

/// What the README calls the group of the agent.
const USUAL_GROUP: &str = "thrall-agent";

/// Who has to be able to read briefings beside the service.
fn readers_of_briefings(roles: &Roles) -> Readers {
    let usual = || Accounts::of_machine().gid(USUAL_GROUP);
    match roles.agent_groups.first().copied().or_else(usual) {
        Some(group) => Readers::Group(group),
        None if roles.real_agents().next().is_some() => Readers::Everybody,
        None => Readers::Nobody,
    }
}

/// Flushes a buffer, also where no service runs.
///
/// # Errors
/// When the database cannot be written.
pub async fn flush_buffer(
    store: &Store,
    name: String,
    now: TimestampMs,
    dry_run: bool,
    faults: &FaultHook,
) -> Result<Flushed, StoreError> {
    let flush = store.flush_buffer(name.clone(), now, dry_run, faults).await?;
    let briefings = flush.iter().flat_map(Flush::artifacts).collect();
    Ok(Flushed { buffer: name, briefings })
}

/// Reads files where nothing else waits for them: a disk may take its time.
async fn aside<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(%error, "reading files failed");
            None
        }
    }
}

/// What holds for all recipes of a home.
///
/// # Errors
/// When the database cannot be read.
pub fn terms(config: &Config, reader: Option<&Reader>) -> anyhow::Result<Terms> {
    let trips = match reader {
        Some(reader) => reader.trips()?,
        None => Vec::new(),
    };
    let tripped = trips
        .into_iter()
        .map(|trip| ((trip.recipe, trip.revision), (trip.reason, trip.at)))
        .collect();
    Ok(Terms { ceiling: roles::ceiling(config), tripped })
}

/// The recipes of a home as a service would have them now, for commands that
/// only look.
///
/// # Errors
/// When the folders cannot be listed or the database not be read.
pub async fn registry_of(
    home: &Home,
    config: &Config,
    deciders: &Deciders,
) -> anyhow::Result<Registry> {
    // Without a database there is no history to look at.
    let reader = Reader::open(&home.state()).ok();
    let loaded = deciders.loader.load(reader.as_ref()).await?;
    let terms = terms(config, reader.as_ref())?;
    Ok(Registry::apply(&Registry::default(), loaded.files, &terms))
}

/// The source of ticks.
const TICK: &str = "tick";

/// Built-in sources whose word about the sender is taken: the operator's own.
const OPERATORS_SOURCES: [&str; 2] = ["ingest", "operator"];

fn rules_of(config: &Config) -> EngineRules {
    let declared = config
        .sources
        .iter()
        .filter(|source| source.may_assert_sender)
        .map(|source| source.name.clone());
    EngineRules {
        guard: GuardRules {
            own_node: config.node_id.clone(),
            ignored_msg_types: config.ignore_msg_types.clone(),
        },
        trust: config.trust.clone(),
        enabled: config.enabled,
        switches: Switches { dry_run: config.dry_run, responder_off: !config.responder_enabled },
        limits: config.limits,
        asserting_sources: OPERATORS_SOURCES
            .into_iter()
            .map(str::to_owned)
            .chain(declared)
            .collect(),
    }
}

/// What is wrong with recipes, a line each.
pub fn recipe_problems(registry: &Registry) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in registry.entries() {
        if let State::Rejected(found) = &entry.state {
            problems.extend(found.iter().map(ToString::to_string));
        }
        problems.extend(
            entry
                .rejected
                .iter()
                .map(|problem| format!("{problem} (the earlier revision goes on)")),
        );
    }
    problems
}

/// What is wrong with grants, a line each: nothing runs under a broken one.
pub fn grant_problems(registry: &Registry) -> Vec<String> {
    let of = |entry: &Entry| {
        let name = entry.name.clone();
        let line = move |problem| {
            format!("{problem} (a broken grant grants nothing, {name} does not run)")
        };
        entry.broken_grant.clone().into_iter().map(line)
    };
    registry.entries().flat_map(of).collect()
}

/// How long runs under way are given when the service ends.
const RUNS_GRACE: Duration = Duration::from_secs(10);

/// The running parts of an [`App`].
pub struct Running {
    engine: Engine,
    stop_deciding: watch::Sender<bool>,
    deciding: JoinHandle<()>,
    stop_performing: watch::Sender<bool>,
    performing: JoinHandle<()>,
}

impl Running {
    /// Takes nothing more in and begins nothing; lets the decisions under way
    /// finish, then what is performed, each within a bound. What waits stays
    /// pending for the next start.
    pub async fn stop(self) {
        self.engine.close();
        for (stop, task) in
            [(self.stop_deciding, self.deciding), (self.stop_performing, self.performing)]
        {
            stop.send_replace(true);
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task failed");
            }
        }
    }
}

/// Resolves when the end was asked for.
pub async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end as well.
    drop(stopped.wait_for(|stop| *stop).await);
}
