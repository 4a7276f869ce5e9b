//! The engine's figures: events through filter, rules and action in fresh
//! sandboxes with a durable journal, what a sandbox costs, what a host call
//! adds, how fast a dropped file could be live.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde::Serialize;

use super::{median, micros, percentile};
use crate::app::prompt_desk::{self, NewPrompt};
use crate::app::{App, Outside};
use crate::breakers::{Standing, Target, Trip};
use crate::cli::init;
use crate::cli::printer::Printer;
use crate::cli::temporary_home::TemporaryHome;
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::config::Source;
use crate::engine::Pace;
use crate::envelope::json::Draft;
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, Field};
use crate::grants::Authority;
use crate::journal::Commit;
use crate::model::PromptForm;
use crate::pipeline::gate::Gate;
use crate::pipeline::guard::{self, GuardRules};
use crate::pipeline::ports::Scope;
use crate::recipes::ComponentSource;
use crate::rehearsal::recorded::NoMeter;
use crate::stage::{
    ComponentId, HostAnswer, HostCalls, HostError, HostRequest, Sandbox, StageLimits,
};
use crate::store::{self, Store};
use crate::verdict::Situation;
use crate::wasm::{SandboxSettings, WasmSandbox};

const SENDERS: u32 = 1000;
const BATCH: usize = 128;
/// Guest calls in one sample of the sandbox.
const CALLS: u32 = 2000;

/// All figures. Times in the unit of their name; `ratio_*` are quotients of
/// two figures beside them.
#[derive(Debug, Serialize)]
pub(super) struct EngineFigures {
    rounds: u32,
    events: u32,
    senders: u32,
    /// Three sandboxed stages and two transactions an event.
    events_per_s: f64,
    events_per_s_rounds: Vec<f64>,
    /// The same rows written bare: two durable transactions an event, grouped
    /// as the engine groups them, and nothing else.
    bare_rows_per_s: f64,
    ratio_bare_rows_to_events: f64,
    /// The same with that many rows in the journal before.
    journal_rows: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_s_full_journal: Option<f64>,
    /// Cost of an event in a full journal against an empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_cost_full_to_empty: Option<f64>,
    /// At half of the measured rate: from submission to the durable decision.
    accept_to_journaled_p50_ms: f64,
    accept_to_journaled_p99_ms: f64,
    /// One durable commit of one row on this disk.
    fsync_ms: f64,
    fresh_call_us: f64,
    warm_call_us: f64,
    ratio_fresh_to_warm: f64,
    /// What a host call adds: authorising and recording included, the answer not.
    host_call_us: f64,
    /// Of that, what the gate adds to the bare call: authorise, budgets, record.
    host_call_gate_us: f64,
    /// What each event pays before any recipe, with ten thousand breakers standing.
    breaker_check_us: f64,
}

/// Rate limit, cooldown and cache are switched on and looked up for each event;
/// none of them stops one. The rules decide before the model is asked.
const RECIPE: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[filter]
cooldown_key = "{{body_text}}"
cooldown_seconds = 60
rate_limit_window = 60
rate_limit_max = 100000
rate_limit_action = "drop"
cache_ttl = 3600
[[filter.reject]]
field = "body_text"
pattern = "^unsubscribe$"
[[hotwires]]
[[hotwires.rules]]
field = "body_text"
pattern = "lottery"
action = "drop"
[[hotwires.rules]]
field = "body_text"
pattern = "urgent|outage"
action = "log"
[evaluate]
type = "llm"
prompt = "bench"
fallback_action = "log"
[actions.log]
message = "seen: {{verdict.reason}}"
"#;

const GRANT: &str = "mode = \"automated\"\nimports = [\"model\"]\n[reads]\nmodel = { prompts = [\"bench\"], models = [\"*\"] }\n";

const PROMPT: &str = r#"
name = "bench"
version = "1"
content = "What kind of message of a {{filter.tier}} sender is this? {{envelope.body_text}}"
[[kinds]]
name = "noise"
action = "drop"
[[kinds]]
name = "news"
action = "log"
"#;

/// Whoever measures is operator, agent and service at once.
const CONFIG: &str = "[roles]\naccept_advisory = true\n";

pub(super) async fn measure(
    events: u32,
    rounds: u32,
    journal_rows: u32,
    printer: &Printer,
) -> anyhow::Result<EngineFigures> {
    let mut rates = Vec::new();
    let mut full_rates = Vec::new();
    let mut bare = Vec::new();
    let mut waits = Vec::new();
    let full = match journal_rows {
        0 => None,
        rows => {
            printer.talk(&format!("filling a journal with {rows} rows, this takes a while"));
            Some(full_home(rows).await?)
        }
    };
    for round in 1..=rounds {
        printer.talk(&format!("round {round} of {rounds}: {events} events"));
        rates.push(throughput(&granted_home().await?, 0..events).await?);
        if let Some(full) = &full {
            let first = SAMPLE + round * events;
            full_rates.push(throughput(full, first..first + events).await?);
        }
        bare.push(bare_rows(events)?);
        let rate = median(rates.clone());
        waits.extend(latencies(events.min(4000), rate / 2.0).await?);
    }
    printer.talk("sandbox");
    let sandbox = sandbox(rounds).await?;
    let events_per_s = median(rates.clone());
    let events_per_s_full_journal = full.map(|_| median(full_rates));
    let bare_rows_per_s = median(bare);
    Ok(EngineFigures {
        rounds,
        events,
        senders: SENDERS,
        events_per_s,
        events_per_s_rounds: rates,
        bare_rows_per_s,
        ratio_bare_rows_to_events: bare_rows_per_s / events_per_s,
        journal_rows,
        events_per_s_full_journal,
        ratio_cost_full_to_empty: events_per_s_full_journal.map(|full| events_per_s / full),
        accept_to_journaled_p50_ms: percentile(waits.clone(), 0.5),
        accept_to_journaled_p99_ms: percentile(waits, 0.99),
        fsync_ms: fsync()?,
        fresh_call_us: sandbox.fresh,
        warm_call_us: sandbox.warm,
        ratio_fresh_to_warm: sandbox.fresh / sandbox.warm,
        host_call_us: sandbox.host_call,
        host_call_gate_us: sandbox.gate,
        breaker_check_us: breaker_check(rounds)?,
    })
}

/// A home with the measurement's recipe, its prompt and a grant.
fn bench_home() -> anyhow::Result<TemporaryHome> {
    let bench = TemporaryHome::new()?;
    let home = &bench.home;
    std::fs::write(home.config_file(), CONFIG)?;
    std::fs::write(home.prompts().join("bench.toml"), PROMPT)?;
    std::fs::write(home.recipes().join("bench.toml"), RECIPE)?;
    std::fs::write(home.grants().join("bench.toml"), GRANT)?;
    Ok(bench)
}

/// One whose prompt is in use and whose grant is bound to its recipe, so that
/// events run through it.
async fn granted_home() -> anyhow::Result<TemporaryHome> {
    let bench = bench_home()?;
    let now = SystemClock.now();
    let store = Store::open(&bench.home.state(), now)?;
    let (form, content) = (PromptForm::Toml, PROMPT.as_bytes().to_vec());
    let prompt = NewPrompt { name: None, form, content, by: "bench".to_owned() };
    prompt_desk::load(&store, prompt, now).await?;
    drop(store);
    init::bind_grants(&bench.home, &["bench"]).await?;
    Ok(bench)
}

fn source() -> Source {
    Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true }
}

fn draft(number: u32) -> Draft {
    let sender = format!("{:016x}{}", number % SENDERS + 1, "0".repeat(48));
    Draft {
        id: Some(format!("bench-{number}")),
        trigger: "on_mail".to_owned(),
        fields: vec![
            Field::new(
                "body_text",
                format!("Please look at report {number}; nothing urgent, thank you."),
            ),
            Field::new("from_node", sender),
            Field::new("msg_type", "text"),
            Field::new("session_id", format!("s{}", number % 50)),
        ],
    }
}

/// Events that a full journal is made of, many times.
const SAMPLE: u32 = 2000;

/// A home whose journal has about `rows` rows: a sample that ran through the
/// engine, and copies of its rows, each batch an hour older.
async fn full_home(rows: u32) -> anyhow::Result<TemporaryHome> {
    let bench = granted_home().await?;
    throughput(&bench, 0..SAMPLE).await?;
    let copies = rows / SAMPLE;
    let state = bench.home.state();
    tokio::task::spawn_blocking(move || store::baseline::copy_rows(&state, copies)).await??;
    Ok(bench)
}

/// Events per second, from the first submission to the last durable decision.
async fn throughput(bench: &TemporaryHome, numbers: Range<u32>) -> anyhow::Result<f64> {
    let app = App::open(bench.home.clone(), Arc::new(SystemClock), Pace::Live).await?;
    ensure!(
        app.health().recipes_live == 1,
        "the recipe of the measurement does not load: {:?}",
        app.health().problems
    );
    let running = app.start();
    let source = source();
    let events = numbers.len();
    let before = app.store.reader().last_journal_id()?;
    let drafts: Vec<Draft> = numbers.map(draft).collect();
    let started = Instant::now();
    for batch in drafts.chunks(BATCH) {
        while app.engine.submit(&source, batch.to_vec()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    app.engine.idle().await;
    let took = started.elapsed().as_secs_f64();
    let rows = app.store.reader().last_journal_id()? - before;
    running.stop().await;
    ensure!(usize::try_from(rows)? == events, "{rows} rows of {events} events");
    Ok(events as f64 / took)
}

/// Milliseconds from submission to the durable decision, at a steady rate.
async fn latencies(events: u32, rate: f64) -> anyhow::Result<Vec<f64>> {
    let bench = granted_home().await?;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let observer = Box::new(move |commit: &Commit| {
        // The receiver lives until the measurement is over.
        let _ = sender.send((commit.row.envelope_seq, Instant::now()));
    });
    let app = App::open_in(
        bench.home.clone(),
        Arc::new(SystemClock),
        Pace::Live,
        Outside { observer: Some(observer), ..Outside::default() },
    )
    .await?;
    let running = app.start();
    let source = source();
    let started = Instant::now();
    let mut submissions = tokio::task::JoinSet::new();
    for number in 0..events {
        let due = started + Duration::from_secs_f64(f64::from(number) / rate);
        tokio::time::sleep_until(due.into()).await;
        let (engine, source) = (app.engine.clone(), source.clone());
        submissions.spawn(async move {
            let began = Instant::now();
            let accepted = engine.submit(&source, vec![draft(number)]).await;
            accepted.ok().and_then(|accepted| accepted.first().map(|one| (one.seq(), began)))
        });
    }
    let mut began = std::collections::HashMap::new();
    while let Some(submitted) = submissions.join_next().await {
        began.extend(submitted?);
    }
    app.engine.idle().await;
    running.stop().await;
    let mut waits = Vec::new();
    while let Ok((seq, decided)) = receiver.try_recv() {
        if let Some(began) = began.get(&seq) {
            waits.push(micros(decided.saturating_duration_since(*began)) / 1000.0);
        }
    }
    Ok(waits)
}

fn bare_rows(events: u32) -> anyhow::Result<f64> {
    let bench = bench_home()?;
    let took = store::baseline::bare_rows(&bench.home.state(), events, BATCH)?;
    Ok(f64::from(events) / took.as_secs_f64())
}

fn fsync() -> anyhow::Result<f64> {
    let bench = bench_home()?;
    let one_by_one = 50;
    let took = store::baseline::bare_rows(&bench.home.state(), one_by_one, 1)?;
    Ok(micros(took) / f64::from(one_by_one) / 2.0 / 1000.0)
}

struct SandboxFigures {
    fresh: f64,
    warm: f64,
    host_call: f64,
    /// What authorising, budgets and the record add to the bare call.
    gate: f64,
}

async fn sandbox(rounds: u32) -> anyhow::Result<SandboxFigures> {
    let bench = bench_home()?;
    let sandbox = WasmSandbox::new(SandboxSettings {
        cache_folder: bench.home.code_cache(),
        worker_program: std::env::current_exe()?,
        concurrent_calls: SandboxSettings::CONCURRENT_CALLS,
    })?;
    let load = |wanted: &str| -> anyhow::Result<ComponentId> {
        let (_, bytes) = crate::shipped::BUNDLED
            .iter()
            .chain(crate::shipped::EXAMPLES)
            .find(|(name, _)| *name == wanted)
            .with_context(|| format!("{wanted} is not bundled"))?;
        Ok(sandbox.load_bundled(bytes)?.id)
    };
    let rules = load(ComponentSource::RULES)?;
    let offender = load("repeat-offender")?;
    let envelope = stamped(draft(1));
    let rules_situation = situation(
        r#"{"config":{},"stage":{"rules":[{"field":"body_text","pattern":"urgent|outage","action":"wake"}],"default_action":"log"}}"#,
    );
    let host: Arc<dyn HostCalls> = Arc::new(Answers);
    let mut fresh = Vec::new();
    let mut warm = Vec::new();
    let mut without = Vec::new();
    let mut bare = Vec::new();
    let mut with = Vec::new();
    for _ in 0..rounds {
        for duration in
            sandbox.warm_calls(rules, &envelope, &rules_situation, Arc::clone(&host), CALLS).await?
        {
            warm.push(micros(duration));
        }
        for _ in 0..CALLS {
            let started = Instant::now();
            let outcome = sandbox
                .hotwire(
                    rules,
                    &envelope,
                    &rules_situation,
                    StageLimits::decider(),
                    Arc::clone(&host),
                )
                .await;
            outcome.answer?;
            fresh.push(micros(started.elapsed()));
        }
        // The example asks the journal once; without a sender it asks nothing.
        let silent = Envelope { fields: Vec::new(), ..envelope.clone() };
        let offender_situation = situation(r#"{"config":{},"stage":{}}"#);
        for number in 0..CALLS {
            // Turn by turn, so that what else the machine does falls on all.
            for (sample, envelope, host) in [
                (&mut without, &silent, door()),
                (&mut bare, &envelope, Arc::clone(&host)),
                (&mut with, &envelope, door()),
            ] {
                let started = Instant::now();
                let outcome = sandbox
                    .hotwire(offender, envelope, &offender_situation, StageLimits::decider(), host)
                    .await;
                outcome.answer?;
                // The first ones fill caches.
                if number >= CALLS / 10 {
                    sample.push(micros(started.elapsed()));
                }
            }
        }
    }
    let (without, bare, with) = (median(without), median(bare), median(with));
    Ok(SandboxFigures {
        fresh: median(fresh),
        warm: median(warm),
        host_call: with - without,
        gate: with - bare,
    })
}

/// Breakers that stand, and events that none of them stops.
const BREAKERS: u32 = 10_000;
const CHECKS: u32 = 100_000;

fn breaker_check(rounds: u32) -> anyhow::Result<f64> {
    let now = TimestampMs(1_700_000_000_000);
    let mut standing = Standing::default();
    for number in 0..BREAKERS {
        let target = Target::parse(&format!("node:{:016x}", u64::from(number) << 32))?;
        let trip =
            Trip { target: &target, reason: "bench", at: now, expires_in_s: 3600, operation: "1" };
        standing.trip(&trip);
    }
    let rules = GuardRules::default();
    let events: Vec<Envelope> = (0..SENDERS).map(|number| stamped(draft(number))).collect();
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        for event in events.iter().cycle().take(CHECKS as usize) {
            ensure!(guard::check(&rules, &standing, event, now).is_none(), "nothing stops it");
        }
        samples.push(micros(started.elapsed()) / f64::from(CHECKS));
    }
    Ok(median(samples))
}

fn stamped(draft: Draft) -> Envelope {
    Envelope {
        id: draft.id.unwrap_or_default(),
        trigger: draft.trigger,
        source: "bench".to_owned(),
        parent: None,
        depth: 0,
        received_at: TimestampMs(1_700_000_000_000),
        root: None,
        lineage: Vec::new(),
        fields: draft.fields,
    }
}

fn situation(config: &str) -> Situation {
    Situation {
        now: TimestampMs(1_700_000_000_000),
        seed: 1,
        tier: Tier::Unknown,
        context: Vec::new(),
        gathered: Vec::new(),
        config: config.to_owned(),
    }
}

/// The real gate, with a grant, in front of answers that cost nothing.
fn door() -> Arc<dyn HostCalls> {
    let grant = crate::grants::parse("bench", "imports = [\"journal-read\"]")
        .unwrap_or_else(|_| crate::grants::Grant::nothing("bench"));
    let authority = Authority::new(Arc::new(grant), Vec::new());
    let now = TimestampMs(1_700_000_000_000);
    let scope = Scope::new("bench", &stamped(draft(1)), &authority, now);
    let gate = Gate::new(scope, authority, Arc::new(Answers), Arc::new(NoMeter), Arc::default());
    Arc::new(gate).for_stage("bench")
}

/// Answers every question at once.
struct Answers;

#[async_trait]
impl HostCalls for Answers {
    async fn call(&self, _: HostRequest) -> Result<HostAnswer, HostError> {
        Ok(HostAnswer::Count(0))
    }
}

#[async_trait]
impl crate::pipeline::ports::Answers for Answers {
    async fn answer(&self, _: &Scope, _: &HostRequest) -> Result<HostAnswer, HostError> {
        Ok(HostAnswer::Count(0))
    }

    fn model_of(&self, _: &HostRequest) -> Option<String> {
        None
    }

    fn prompt_hash_of(&self, _: &HostRequest) -> Option<String> {
        None
    }
}
