//! A clock that jumps back and forth, by hours and days.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use thrall::app::{App, Outside};
use thrall::clock::{Clock, SimClock, TimestampMs};
use thrall::config::Source;
use thrall::engine::Pace;
use thrall::envelope::json as envelope_json;
use thrall::home::Home;
use thrall_tests::events::{mail, node};
use thrall_tests::scenario::START;
use thrall_tests::test_home::{TestHome, thrall_program};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A service whose clock is moved by hand.
struct Service {
    home: TestHome,
    clock: Arc<SimClock>,
    app: App,
    stop: tokio::sync::oneshot::Sender<()>,
    deciding: tokio::task::JoinHandle<()>,
    number: u64,
}

impl Service {
    async fn start(recipes: &[(&str, &str)]) -> Self {
        let home = TestHome::new();
        for (name, toml) in recipes {
            home.recipe(name, toml);
        }
        let clock = Arc::new(SimClock::at(START));
        let outside =
            Outside { worker_program: Some(thrall_program().to_owned()), ..Outside::default() };
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let opened = Home::existing(home.path("")).unwrap();
        let app = App::open_in(opened, shared, Pace::Live, outside).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let engine = app.engine.clone();
        let deciding = tokio::spawn(async move {
            engine.run(async move { drop(stopped.await) }, Duration::MAX).await;
        });
        Self { home, clock, app, stop, deciding, number: 0 }
    }

    fn at(&self, now: TimestampMs) {
        self.clock.set(now);
    }

    /// What the filter made of one more mail.
    async fn mail(&mut self) -> String {
        self.number += 1;
        let event = mail(&format!("m{}", self.number), &node(0xd1), "hello");
        let draft = envelope_json::parse(event.to_string().as_bytes()).unwrap();
        let source =
            Source { name: "operator".to_owned(), triggers: Vec::new(), may_assert_sender: true };
        self.app.engine.submit(&source, vec![draft]).await.unwrap();
        self.app.engine.idle().await;
        self.app.perform_all().await.unwrap();
        self.home
            .database()
            .query_row(
                "SELECT json_extract(t.body, '$.filter.decision') FROM journal j
                 JOIN traces t ON t.journal_id = j.id
                 WHERE j.kind = 'decision' ORDER BY j.id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .unwrap()
    }

    async fn tick(&mut self) {
        self.number += 1;
        self.app.tick(self.number).await;
        self.app.flush_due().await;
        self.app.forget_expired().await;
        self.app.engine.idle().await;
        self.app.perform_all().await.unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        self.home.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Ends, and insists on a sound journal.
    async fn end(self) {
        self.stop.send(()).unwrap();
        self.deciding.await.unwrap();
        drop(self.app);
        self.home.run(&["journal", "verify"]).ok();
    }
}

fn recipe(filter: &str, action: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[filter]\n{filter}\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"act\"\n[actions.act]\n{action}\n"
    )
}

fn later(seconds: u64) -> TimestampMs {
    START.plus(Duration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cooldown_of_a_clock_that_was_ahead_lasts_its_own_length_and_no_more() {
    let toml = recipe("cooldown_key = \"k\"\ncooldown_seconds = 300", "type = \"log\"");
    let mut service = Service::start(&[("cool", &toml)]).await;
    service.at(START.plus(DAY));
    assert!(service.mail().await == "pass");
    service.at(START);
    assert!(service.mail().await == "skip", "counts as set now");
    service.at(later(299));
    assert!(service.mail().await == "skip");
    service.at(later(301));
    assert!(service.mail().await == "pass", "not a day later");
    service.at(START.plus(DAY));
    assert!(service.mail().await == "pass");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_clock_that_was_ahead_counted_shuts_nobody_out() {
    let toml = recipe(
        "rate_limit_max = 3\nrate_limit_window = 3600\nrate_limit_action = \"drop\"",
        "type = \"log\"",
    );
    let mut service = Service::start(&[("rated", &toml)]).await;
    for start in [START.plus(DAY), START, START.plus(HOUR).plus(HOUR), START.plus(2 * DAY)] {
        service.at(start);
        for number in 0..3 {
            let became = service.mail().await;
            assert!(became == "pass", "{number} at {start:?}: {became}");
        }
        let became = service.mail().await;
        assert!(became == "rate_limited", "at {start:?}: {became}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_item_is_flushed_once_and_no_jump_makes_a_storm() {
    let toml = recipe("", "type = \"compile\"\nbuffer = \"b\"");
    let mut service = Service::start(&[("collect", &toml)]).await;
    let flushes = "SELECT count(*) FROM flushes";
    // Collected while the clock was a day ahead: not kept back for a day.
    service.at(START.plus(DAY));
    service.mail().await;
    service.at(START);
    for minute in 0..5 {
        service.at(later(minute * 60));
        service.tick().await;
    }
    assert_eq!(service.number(flushes), 1);
    service.mail().await;
    for minute in 5..50 {
        service.at(later(minute * 60));
        service.tick().await;
    }
    assert_eq!(service.number(flushes), 1, "it waits its hour");
    for at in [START.plus(DAY), START, START.plus(3 * DAY), START.plus(HOUR), START.plus(DAY)] {
        service.at(at);
        service.tick().await;
    }
    assert_eq!(service.number(flushes), 2);
    assert_eq!(service.number("SELECT sum(item_count) FROM flushes"), 2);
    assert_eq!(service.number("SELECT count(*) FROM buffers WHERE flush_id IS NULL"), 0);
    assert_eq!(service.number("SELECT count(*) FROM outbox WHERE kind = 'wake'"), 2);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_stays_gone_and_ticks_never_run_backwards() {
    let remember = recipe(
        "",
        "steps = [{ type = \"set-context\", key = \"k\", value = \"v\", expires_in_s = 600 }]",
    );
    let every_tick = "mode = \"automated\"\n[trigger]\ntype = \"on_tick\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";
    let mut service = Service::start(&[("memory", &remember), ("ticked", every_tick)]).await;
    service.mail().await;
    let session = format!("s-{}", node(0xd1));
    let known = |service: &Service| {
        let now = service.clock.now();
        service.app.store.reader().context("memory", None, &session, now).unwrap().len()
    };
    assert_eq!(known(&service), 1);
    for at in [START.plus(HOUR), START, START.plus(DAY), later(60)] {
        service.at(at);
        service.tick().await;
        assert_eq!(known(&service), 0, "{at:?}");
    }
    let database = service.home.database();
    let mut statement = database
        .prepare(
            "SELECT json_extract(p.body, '$.elapsed_s') FROM envelopes e JOIN payloads p USING (seq)
             WHERE e.trigger = 'on_tick' ORDER BY seq",
        )
        .unwrap();
    let elapsed: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let tick = service.app.tick_interval().as_secs().to_string();
    assert_eq!(json!(elapsed), json!([tick, "0", "86400", "0"]));
    drop(statement);
    drop(database);
    service.end().await;
}
