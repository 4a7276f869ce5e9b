//! Scenario folders as data: a home, events with times, what a model and a node
//! answer, and what must come of it. `scenario/script.rs` reads them,
//! `scenario/outside.rs` is the scripted model and node, `scenario/expected.rs`
//! compares; here they are run through the real engine with a simulated clock.

mod expected;
mod outside;
mod script;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thrall::app::{App, Outside};
use thrall::clock::{Clock, SimClock, TimestampMs};
use thrall::config::Source;
use thrall::engine::Pace;
use thrall::envelope::json;
use thrall::home::Home;
use thrall::model::ModelRouter;
use thrall::outbox::Node;

use crate::test_home::{TestHome, thrall_program};
pub use expected::Outcome;
pub use script::{Scenario, Step};

/// 2026-03-01 09:00:00 UTC: scenarios begin here.
pub const START: TimestampMs = TimestampMs(1_772_355_600_000);

/// Every scenario of a chapter, by folder.
///
/// # Panics
/// When the chapter is not there.
pub fn of_chapter(chapter: &str) -> Vec<PathBuf> {
    let folder = root().join(chapter);
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("scenario.toml").is_file())
        .collect();
    found.sort();
    found
}

/// `tests/scenarios`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Runs a folder; every difference is a line.
///
/// # Panics
/// When the folder cannot be read, or the home not be made.
pub fn run(folder: &Path) -> Vec<String> {
    let scenario = Scenario::read(folder);
    let home = make_home(&scenario);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(play(&scenario, &home));
    expected::differences(&scenario, &outcome)
}

fn make_home(scenario: &Scenario) -> TestHome {
    let home = TestHome::shipped_again();
    for folder in ["recipes", "grants"] {
        for entry in std::fs::read_dir(home.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let is_recipe = path.extension().is_some_and(|ending| ending == "toml");
            if is_recipe && !scenario.shipped.contains(&stem) {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    if !scenario.config.is_empty() {
        // Keys of the top level have to stand before any table.
        let path = home.path("thrall.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{}\n{text}", scenario.config)).unwrap();
    }
    for (name, text) in &scenario.prompts {
        home.prompt(name.strip_suffix(".toml").unwrap(), text);
    }
    for (name, toml) in &scenario.recipes {
        match scenario.grants.iter().find(|(grant, _)| grant == name) {
            Some((_, grant)) => home.recipe_under(name, toml, grant),
            None if scenario.ungranted.contains(name) => {
                home.write(&format!("recipes/{name}.toml"), toml);
            }
            // What the recipe declares, as the operator's command has it.
            None => {
                home.write(&format!("recipes/{name}.toml"), toml);
                home.run(&["grant", "allow", name, "--mode", "automated"]);
            }
        }
    }
    home
}

/// The service of a scenario, between two restarts.
struct Service {
    app: Arc<App>,
    stop: tokio::sync::oneshot::Sender<()>,
    deciding: tokio::task::JoinHandle<()>,
    ticks: u64,
}

impl Service {
    async fn start(
        scenario: &Scenario,
        home: &TestHome,
        clock: &Arc<SimClock>,
        node: &Option<Arc<dyn Node>>,
    ) -> Self {
        let model = Arc::new(outside::ScriptedModel::new(&scenario.model));
        let models = ["gemma3-270m", "gemma3-1b", "smollm2-135m"]
            .iter()
            .fold(ModelRouter::default(), |router, name| {
                router.with(name, Arc::clone(&model) as _)
            });
        let outside = Outside {
            models: Some(models),
            node: node.clone(),
            cockpit: Some(Arc::new(outside::ScriptedCockpit::new(&scenario.cockpit))),
            worker_program: Some(thrall_program().to_owned()),
            ..Outside::default()
        };
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let app = App::open_in(Home::existing(home.path("")).unwrap(), clock, Pace::Live, outside)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let engine = app.engine.clone();
        let deciding = tokio::spawn(async move {
            engine.run(async move { drop(stopped.await) }, Duration::MAX).await;
        });
        Self { app: Arc::new(app), stop, deciding, ticks: 0 }
    }

    /// Until nothing more comes of what happened.
    async fn settle(&self) {
        loop {
            self.app.engine.idle().await;
            let before = self.app.store.reader().last_journal_id().unwrap();
            self.app.perform_all().await.unwrap();
            self.app.engine.idle().await;
            if self.app.store.reader().last_journal_id().unwrap() == before {
                return;
            }
        }
    }

    async fn end(self) {
        self.settle().await;
        self.stop.send(()).unwrap();
        self.deciding.await.unwrap();
    }
}

async fn play(scenario: &Scenario, home: &TestHome) -> Outcome {
    let clock = Arc::new(SimClock::at(START));
    let connect = || Arc::new(outside::ScriptedNode::new(&scenario.node)) as Arc<dyn Node>;
    let mut node = scenario.has_node.then(connect);
    let mut service = Service::start(scenario, home, &clock, &node).await;
    let mut answers = Vec::new();
    for step in &scenario.steps {
        // As the service does several times a second.
        service.app.look_at_breakers().await;
        match step {
            Step::Event { source, event } => {
                let draft = json::parse(event.to_string().as_bytes());
                let draft = draft.unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
                let taken = service.app.engine.submit(&bringer(source), vec![draft]).await;
                answers.extend(taken.err().map(|error| format!("refused: {error}")));
                service.settle().await;
            }
            Step::Batch { source, events } => {
                let drafts = events
                    .iter()
                    .map(|event| json::parse(event.to_string().as_bytes()).unwrap())
                    .collect();
                let taken = service.app.engine.submit(&bringer(source), drafts).await;
                answers.extend(taken.err().map(|error| format!("refused: {error}")));
                service.settle().await;
            }
            Step::Ask { event } => {
                let draft = json::parse(event.to_string().as_bytes()).unwrap();
                let asked = service.app.engine.ask(&bringer("operator"), draft).await;
                answers.push(asked.map_or_else(
                    |error| format!("refused: {error}"),
                    |(_, answer)| match answer.body {
                        Some(body) => format!("{}: {body}", answer.code),
                        None => answer.code,
                    },
                ));
                service.settle().await;
            }
            Step::Wait(seconds) => clock.advance(Duration::from_secs(*seconds)),
            Step::Tick => {
                service.ticks += 1;
                service.app.tick(service.ticks).await;
                service.app.flush_due().await;
                service.app.look_at_breakers().await;
                service.app.forget_expired().await;
                service.settle().await;
            }
            Step::Write { path, text } => drop(home.write(path, text)),
            Step::Remove { path } => std::fs::remove_file(home.path(path)).unwrap(),
            Step::Rename { from, to } => {
                std::fs::rename(home.path(from), home.path(to)).unwrap();
            }
            Step::Reload => {
                service.app.reload().await;
                service.settle().await;
            }
            Step::Restart => {
                service.end().await;
                service = Service::start(scenario, home, &clock, &node).await;
            }
            Step::Connect => {
                service.end().await;
                node = Some(connect());
                service = Service::start(scenario, home, &clock, &node).await;
            }
            // The database is the service's: it has to end for a while.
            Step::Run { args, code, says } => {
                service.end().await;
                let here = home.path("").to_str().unwrap().to_owned();
                let args: Vec<String> =
                    args.iter().map(|arg| arg.replace("{home}", &here)).collect();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let ran = home.run(&args);
                assert_eq!(ran.code, *code, "{}: {args:?}: {ran:?}", scenario.name);
                let said = ran.stdout.contains(says) || ran.stderr.contains(says);
                assert!(said, "{}: {args:?} does not say {says:?}: {ran:?}", scenario.name);
                service = Service::start(scenario, home, &clock, &node).await;
            }
        }
    }
    let outcome = Outcome::read(&service.app, home, answers);
    service.end().await;
    outcome
}

/// What a source may bring and say, by name.
fn bringer(name: &str) -> Source {
    match name {
        "ingest" | "operator" => {
            Source { name: name.to_owned(), triggers: Vec::new(), may_assert_sender: true }
        }
        other => Source { name: other.to_owned(), triggers: Vec::new(), may_assert_sender: false },
    }
}
