//! `thrall dev pair`: two real doorkeepers, each with engine, store, outbox and
//! port of its own, that reply to every mail. A mail of one is posted to the
//! other's port. What ends their talk is the mark of automatic replies, or
//! without it the loop detection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::reloader::Reloader;
use crate::app::{App, Outside, Running};
use crate::cli::printer::Printer;
use crate::cli::serve::doors;
use crate::cli::temporary_home::TemporaryHome;
use crate::cli::{Outcome, init};
use crate::clock::SystemClock;
use crate::engine::Pace;
use crate::outbox::Node;
use crate::outbox::node::{Attempt, MailCall, WakeCall};

/// The two, with the letter that their ids are made of.
const NAMES: [&str; 2] = ["a", "b"];
const SESSION: &str = "talk";

/// Without a mail for so long they are silent.
const SILENCE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

const RECIPE: &str = r#"mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "reply"
[actions.reply]
template = "Thank you for your message."
"#;

const GRANT: &str = "mode = \"automated\"\n[operations]\n\
    reply = { to = \"sender\", body = \"template\", per_hour = 1000 }\n";

#[derive(Serialize)]
struct Told {
    mails: Vec<Mail>,
    /// Nobody had anything more to say.
    silent: bool,
    /// Wakes of the two agents: what thrall told them.
    wakes: Vec<Value>,
}

#[derive(Clone, Serialize)]
struct Mail {
    from: String,
    to: String,
    text: String,
    automatic: bool,
}

pub(super) async fn run(unmarked: bool, printer: &Printer) -> anyhow::Result<Outcome> {
    let wire = Arc::new(Wire { unmarked, ..Wire::default() });
    let (stop, stopped) = watch::channel(false);
    let first = Side::start(0, &wire, &stopped).await?;
    let second = Side::start(1, &wire, &stopped).await?;
    wire.connect([first.token()?, second.token()?], [first.address, second.address]);

    printer.talk(&format!(
        "{} on http://{}, {} on http://{}; stop with Ctrl-C",
        NAMES[0], first.address, NAMES[1], second.address
    ));
    let hello = json!({"type": "text", "content": "Hello, are you there?"});
    let begun = Arc::clone(&wire);
    tokio::task::spawn_blocking(move || begun.carry(0, SESSION, hello)).await??;
    let silent = tokio::select! {
        silent = wire.silence() => silent,
        _ = tokio::signal::ctrl_c() => false,
    };
    stop.send_replace(true);
    first.stop().await;
    second.stop().await;

    let told = wire.told(silent);
    if printer.is_json() {
        printer.json(&told)?;
    } else {
        for mail in &told.mails {
            let mark = if mail.automatic { " (automatic)" } else { "" };
            printer.line(&format!("{} -> {}: {}{mark}", mail.from, mail.to, mail.text))?;
        }
        for wake in &told.wakes {
            let reason = wake.get("reason").and_then(Value::as_str).unwrap_or_default();
            printer.line(&format!("an agent is told: {reason}"))?;
        }
        let end = if silent { "silent" } else { "still talking" };
        printer.line(&format!("{end} after {} mails", told.mails.len()))?;
    }
    Ok(if silent { Outcome::Done } else { Outcome::No })
}

/// One doorkeeper.
struct Side {
    app: Arc<App>,
    running: Running,
    listening: JoinHandle<()>,
    address: SocketAddr,
    /// Last, so that it goes when nothing is in it any more.
    _home: TemporaryHome,
}

impl Side {
    async fn start(
        index: usize,
        wire: &Arc<Wire>,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let temporary = TemporaryHome::new()?;
        let home = temporary.home.clone();
        let config = format!(
            "[node]\nid = \"{}\"\n[roles]\naccept_advisory = true\n\
             [guard]\nmax_replies_per_hour_per_node = 1000\n\
             [sources.mailbox]\ntriggers = [\"on_mail\"]\nmay_assert_sender = true\n",
            node_id(index)
        );
        std::fs::write(home.config_file(), config)?;
        std::fs::write(home.recipes().join("greet.toml"), RECIPE)?;
        std::fs::write(home.grants().join("greet.toml"), GRANT)?;
        init::bind_grants(&home, &["greet"]).await?;
        let node: Arc<dyn Node> = Arc::new(End { index, wire: Arc::clone(wire) });
        let outside = Outside { node: Some(node), ..Outside::default() };
        let app = App::open_in(home, Arc::new(SystemClock), Pace::Live, outside).await?;
        let app = Arc::new(app);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let address = listener.local_addr()?;
        let reloader = Arc::new(Reloader::new(Arc::clone(&app)));
        let listening = tokio::spawn(doors::port(&app, &reloader, listener, stopped)?);
        let running = app.start();
        Ok(Self { app, running, listening, address, _home: temporary })
    }

    fn token(&self) -> anyhow::Result<String> {
        let path = self.app.home.tokens().join("source-mailbox");
        let token = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(token.trim().to_owned())
    }

    async fn stop(self) {
        self.running.stop().await;
        drop(self.listening.await);
    }
}

fn node_id(index: usize) -> String {
    NAMES.get(index).copied().unwrap_or("c").repeat(64)
}

/// What lies between the two.
#[derive(Default)]
struct Wire {
    unmarked: bool,
    ends: Mutex<Vec<(String, SocketAddr)>>,
    mails: Mutex<Vec<Mail>>,
    wakes: Mutex<Vec<Value>>,
}

impl Wire {
    fn connect(&self, tokens: [String; 2], addresses: [SocketAddr; 2]) {
        *lock(&self.ends) = tokens.into_iter().zip(addresses).collect();
    }

    /// Posts a mail of one side to the other's port.
    fn carry(&self, from: usize, session: &str, mut body: Value) -> anyhow::Result<()> {
        let to = 1 - from.min(1);
        let (token, address) =
            lock(&self.ends).get(to).cloned().context("the other side is not there yet")?;
        let automatic = body.get("automatic").is_some();
        if self.unmarked
            && let Value::Object(fields) = &mut body
        {
            fields.remove("automatic");
        }
        let text = body.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        let event = json!({"trigger": "on_mail", "fields": {
            "from_node": node_id(from), "to_node": node_id(to), "msg_type": "text",
            "session_id": session, "body_text": text, "body_json": body.to_string(),
        }});
        ureq::post(format!("http://{address}/thrall/events"))
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json")
            .send(event.to_string())
            .context("the other side does not take the mail")?;
        let name = |index: usize| NAMES.get(index).copied().unwrap_or_default().to_owned();
        lock(&self.mails).push(Mail { from: name(from), to: name(to), text, automatic });
        Ok(())
    }

    /// Resolves when nobody has written for a while; false when that never comes.
    async fn silence(&self) -> bool {
        let begun = tokio::time::Instant::now();
        let (mut count, mut since) = (0, begun);
        while begun.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = lock(&self.mails).len();
            if now != count {
                (count, since) = (now, tokio::time::Instant::now());
            } else if since.elapsed() >= SILENCE {
                return true;
            }
        }
        false
    }

    fn told(&self, silent: bool) -> Told {
        Told { mails: lock(&self.mails).clone(), silent, wakes: lock(&self.wakes).clone() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node of one side: its mail goes over the wire, its agent listens.
struct End {
    index: usize,
    wire: Arc<Wire>,
}

impl Node for End {
    fn wake(&self, _: &str, call: WakeCall<'_>) -> Attempt {
        let body = serde_json::from_str(call.body).unwrap_or_default();
        lock(&self.wire.wakes).push(body);
        Attempt::Done { detail: "told".to_owned(), answer: None }
    }

    fn mail(&self, _: &str, call: MailCall<'_>) -> Attempt {
        let body = serde_json::from_str(call.body).unwrap_or_default();
        match self.wire.carry(self.index, call.session, body) {
            Ok(()) => Attempt::Done { detail: "delivered".to_owned(), answer: None },
            Err(error) => Attempt::Uncertain { why: format!("{error:#}") },
        }
    }

    fn skill(&self, _: &str, skill: &str, _: &str) -> Attempt {
        Attempt::Refused { why: format!("nobody offers {skill} here"), answer: None }
    }
}
