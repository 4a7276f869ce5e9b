//! What waits is bounded, in its turn, and lost by nobody: a model that is
//! busy, a source that floods, and an end in the middle of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use thrall::app::{App, Outside};
use thrall::clock::SystemClock;
use thrall::config::Source;
use thrall::engine::{Pace, SubmitError};
use thrall::envelope::json::{self, Draft};
use thrall::home::Home;
use thrall::model::{
    Classification, ClassifyRequest, CompleteRequest, Completion, ModelBackend, ModelError,
    ModelRouter, Usage,
};
use thrall_tests::events::{mail, many, node};
use thrall_tests::test_home::{TestHome, thrall_program};
use thrall_tests::wait_for::wait_for;
use tokio::sync::Semaphore;

const TRIAGE: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"llm\"\nprompt = \"triage\"\nfallback_action = \"compile\"\n[actions.compile]\n[actions.drop]\n[actions.wake]\n[actions.reply]\ntemplate = \"Hello.\"\n";
const GUARD: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail_send\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"pass\"\n";
const SORT: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n[[evaluate.rules]]\nfield = \"body_text\"\npattern = \"odd\"\naction = \"drop\"\n";

/// Answers when it is let, and counts how often it was asked.
struct HeldModel {
    answers: Semaphore,
    asked: AtomicUsize,
}

impl HeldModel {
    fn new(answers: usize) -> Arc<Self> {
        Arc::new(Self { answers: Semaphore::new(answers), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl ModelBackend for HeldModel {
    async fn classify(&self, request: ClassifyRequest) -> Result<Classification, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        let scores: Vec<_> = request.labels.iter().map(|one| (one.name.clone(), 0.1)).collect();
        Ok(Classification {
            best: scores[0].0.clone(),
            abstained: false,
            scores,
            usage: Usage::default(),
        })
    }

    async fn complete(&self, _: CompleteRequest) -> Result<Completion, ModelError> {
        Err(ModelError::Failed("not asked here".to_owned()))
    }

    fn summary(&self) -> String {
        "held".to_owned()
    }
}

async fn open(home: &TestHome, model: &Arc<HeldModel>) -> App {
    let models = ModelRouter::default().with("gemma3-270m", Arc::clone(model) as _);
    let outside = Outside {
        models: Some(models),
        worker_program: Some(thrall_program().to_owned()),
        ..Outside::default()
    };
    let opened = Home::existing(home.path("")).unwrap();
    App::open_in(opened, Arc::new(SystemClock), Pace::Live, outside).await.unwrap()
}

fn source(name: &str) -> Source {
    Source { name: name.to_owned(), triggers: Vec::new(), may_assert_sender: true }
}

fn draft(number: usize, body: &str) -> Draft {
    let event = mail(&format!("m{number}"), &many(number), body);
    json::parse(event.to_string().as_bytes()).unwrap()
}

fn mails(numbers: std::ops::Range<usize>) -> Vec<Draft> {
    numbers.map(|n| draft(n, if n % 2 == 0 { "even" } else { "odd" })).collect()
}

fn count(home: &TestHome, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM journal WHERE kind = 'decision' AND {what}");
    home.database().query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn all_decided_once(home: &TestHome, events: i64) {
    let sql = "SELECT count(DISTINCT envelope_seq) FROM journal WHERE kind = 'decision'";
    let decided: i64 = home.database().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!((decided, count(home, "1")), (events, events));
    let sql = "SELECT count(*) FROM envelopes WHERE state = 'pending'";
    let pending: i64 = home.database().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(pending, 0);
}

fn question() -> Draft {
    let fields = serde_json::json!({"to_node": node(0xab), "body_text": "see you at noon"});
    let event = serde_json::json!({"trigger": "on_mail_send", "fields": fields});
    json::parse(event.to_string().as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_waits_for_the_model_keeps_nobody_else_waiting() {
    let home = TestHome::new();
    home.recipe("triage", TRIAGE);
    home.write("recipes/guard.toml", GUARD);
    home.run(&["grant", "allow", "guard", "--mode", "automated"]).ok();
    home.configure("[model]\nqueue_timeout_s = 3.0\n");
    let model = HeldModel::new(0);
    let app = open(&home, &model).await;
    let running = app.start();
    for batch in [0..250, 250..500, 500..600] {
        app.engine.submit(&source("operator"), mails(batch)).await.unwrap();
    }
    wait_for("a question to the model", Duration::from_secs(20), || {
        (model.asked.load(Ordering::SeqCst) > 0).then_some(())
    });
    for _ in 0..3 {
        let (_, answer) = app.engine.ask(&source("operator"), question()).await.unwrap();
        assert_eq!(answer.code, "pass", "{answer:?}");
    }
    // What waited for too long is decided by the fallback, and says why.
    wait_for("the fallback", Duration::from_secs(60), || {
        (count(&home, "reason LIKE '%overflow%' AND action = 'compile'") == 592).then_some(())
    });
    assert_eq!(model.asked.load(Ordering::SeqCst), 8, "few stand before a busy model");
    model.answers.add_permits(1000);
    app.engine.idle().await;
    running.stop().await;
    assert_eq!(count(&home, "recipe = 'triage'"), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_does_not_fill_the_room_of_others_and_the_team_gets_through() {
    let home = TestHome::new();
    home.recipe("sort", SORT);
    let team = node(0xee);
    home.configure(&format!(
        "[limits]\nmax_pending = 1000\n[trust_tiers]\nteam = [\"{team}\"]\n[sources.flood]\nmay_assert_sender = true\n[sources.other]\nmay_assert_sender = true\n"
    ));
    // Nothing is decided here: what is taken in waits.
    let app = open(&home, &HeldModel::new(0)).await;
    let code = |taken: Result<_, SubmitError>| match taken {
        Ok(_) => "taken",
        Err(SubmitError::Full(full)) => full.code(),
        Err(error) => panic!("{error}"),
    };
    let submit = async |name: &str, drafts| code(app.engine.submit(&source(name), drafts).await);
    assert_eq!(submit("flood", mails(0..225)).await, "taken");
    assert_eq!(app.health().status, "ok", "{:?}", app.health().problems);
    assert_eq!(submit("flood", mails(225..450)).await, "taken");
    assert_eq!(submit("flood", mails(450..451)).await, "strangers_shed");
    let from_team = |id: &str| {
        vec![json::parse(mail(id, &team, "please look").to_string().as_bytes()).unwrap()]
    };
    assert_eq!(submit("flood", from_team("t1")).await, "taken");
    assert_eq!(submit("other", mails(0..225)).await, "taken");
    assert_eq!(submit("other", mails(225..449)).await, "taken");
    assert_eq!(submit("operator", mails(0..1)).await, "strangers_shed");
    assert_eq!(submit("operator", from_team("t2")).await, "taken");
    let health = app.health();
    assert_eq!(health.status, "degraded");
    let problems = health.problems.join("\n");
    assert!(problems.contains("901 events wait for a decision, at most 1000 may"), "{problems}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_kept_in_memory_is_decided_all_the_same() {
    let home = TestHome::new();
    home.recipe("sort", SORT);
    let app = open(&home, &HeldModel::new(0)).await;
    for first in (0..2000).step_by(250) {
        app.engine.submit(&source("operator"), mails(first..first + 250)).await.unwrap();
    }
    let running = app.start();
    app.engine.idle().await;
    running.stop().await;
    all_decided_once(&home, 2000);
    assert_eq!((count(&home, "action = 'drop'"), count(&home, "action = 'log'")), (1000, 1000));
}

/// Somebody who hangs up has had his event stored: it must not wait for the
/// next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_bringer_hangs_up_is_decided() {
    let home = TestHome::new();
    home.recipe("sort", SORT);
    let app = open(&home, &HeldModel::new(0)).await;
    let running = app.start();
    for n in 0..50 {
        let (engine, from) = (app.engine.clone(), source("operator"));
        let mut brought = Box::pin(async move { engine.submit(&from, mails(n..n + 1)).await });
        let begun = tokio::time::timeout(Duration::from_micros(20 * n as u64), &mut brought);
        drop(begun.await);
        drop(brought);
    }
    let stored = || -> i64 {
        let sql = "SELECT count(*) FROM envelopes WHERE state = 'pending'";
        home.database().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    wait_for("nothing pending", Duration::from_secs(20), || (stored() == 0).then_some(()));
    running.stop().await;
    assert!(count(&home, "1") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classification_under_way_at_the_end_is_written_down_whole() {
    let home = TestHome::new();
    home.recipe("triage", TRIAGE);
    let model = HeldModel::new(0);
    let app = open(&home, &model).await;
    let running = app.start();
    app.engine.submit(&source("operator"), mails(0..1)).await.unwrap();
    wait_for("a question to the model", Duration::from_secs(20), || {
        (model.asked.load(Ordering::SeqCst) == 1).then_some(())
    });
    app.engine.close();
    let late = app.engine.submit(&source("operator"), mails(1..2)).await;
    assert!(matches!(late, Err(SubmitError::Closing)), "{late:?}");
    let stopping = tokio::spawn(running.stop());
    model.answers.add_permits(1);
    stopping.await.unwrap();
    all_decided_once(&home, 1);
    assert_eq!(count(&home, "reason LIKE '%overflow%'"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classification_that_does_not_end_is_done_once_at_the_next_start() {
    let home = TestHome::new();
    home.recipe("triage", TRIAGE);
    let model = HeldModel::new(0);
    let app = open(&home, &model).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let engine = app.engine.clone();
    let deciding = tokio::spawn(async move {
        engine.run(async move { drop(stopped.await) }, Duration::from_millis(100)).await;
    });
    app.engine.submit(&source("operator"), mails(0..20)).await.unwrap();
    wait_for("a question to the model", Duration::from_secs(20), || {
        (model.asked.load(Ordering::SeqCst) > 0).then_some(())
    });
    let asked_to_end = Instant::now();
    stop.send(()).unwrap();
    deciding.await.unwrap();
    assert!(asked_to_end.elapsed() < Duration::from_secs(5));
    assert_eq!(count(&home, "1"), 0, "nothing is half done");
    drop(app);
    let app = open(&home, &HeldModel::new(1000)).await;
    let running = app.start();
    app.engine.idle().await;
    running.stop().await;
    all_decided_once(&home, 20);
}
