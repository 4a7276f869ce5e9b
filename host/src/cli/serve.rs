//! `thrall serve`: the host as a service. Sockets, ticks, reload, and the
//! order in which all of it ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Outcome;
use super::printer::Printer;
use crate::app::App;
use crate::app::reload::Watcher;
use crate::clock::SystemClock;
use crate::engine::Pace;
use crate::home::Home;
use crate::server::{self, Role, ServerState};

/// How often the folders are looked at: a dropped file is live within a second.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long open requests are given when the service ends.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn run(home: &Path, printer: &Printer) -> anyhow::Result<Outcome> {
    let app = Arc::new(App::open(Home::existing(home)?, Arc::new(SystemClock), Pace::Live).await?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let (stop, stopped) = watch::channel(false);
    let running = app.start();
    let mut listeners = JoinSet::new();
    for (name, role) in roles(&app) {
        let listener = bind(&app.home, &name)?;
        listeners.spawn(listen(listener, server_state(&app), role, stopped.clone()));
    }
    let mut background = JoinSet::new();
    background.spawn(watch_folders(Arc::clone(&app), stopped.clone()));
    background.spawn(tick(Arc::clone(&app), stopped.clone()));
    let warming = Arc::clone(&app);
    background.spawn(async move { warming.warm_model().await });
    for warning in &app.config.warnings {
        printer.talk(&format!("warning: {warning}"));
    }
    for line in app.ready_lines() {
        printer.talk(&line);
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => app.log.reopen(),
        }
    }
    printer.talk("Stopping: no new events, what runs is finished. A second signal ends at once.");
    // Intake first, then the runs in flight, then the outbox and the store.
    let drained = async {
        stop.send_replace(true);
        drop(
            tokio::time::timeout(GRACE, async { while listeners.join_next().await.is_some() {} })
                .await,
        );
        background.shutdown().await;
        app.engine.idle().await;
        running.stop().await;
    };
    tokio::select! {
        () = drained => {}
        _ = terminate.recv() => printer.talk("Ended at once; what waits is picked up at the next start."),
        _ = interrupt.recv() => printer.talk("Ended at once; what waits is picked up at the next start."),
    }
    Ok(Outcome::Done)
}

/// One socket for each role that can connect.
fn roles(app: &App) -> Vec<(String, Role)> {
    let mut roles =
        vec![("operator".to_owned(), Role::Operator), ("agent".to_owned(), Role::Agent)];
    roles.extend(
        app.sources()
            .into_iter()
            .map(|source| (format!("source-{}", source.name), Role::Source(source))),
    );
    roles
}

fn server_state(app: &Arc<App>) -> ServerState {
    let for_health = Arc::clone(app);
    ServerState {
        engine: app.engine.clone(),
        health: Arc::new(move || for_health.health()),
        source: None,
    }
}

/// Binds a socket in `run/`. One left behind by a service that died is
/// replaced: the home's lock, which is held, says that nobody uses it.
fn bind(home: &Home, name: &str) -> anyhow::Result<UnixListener> {
    let path = home.socket(name);
    if path.exists() {
        std::fs::remove_file(&path)
            .with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    restrict(&path)?;
    Ok(listener)
}

fn restrict(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

async fn listen(
    listener: UnixListener,
    state: ServerState,
    role: Role,
    mut stopped: watch::Receiver<bool>,
) {
    let stop = async move {
        // An error means that the sender is gone, which is a stop as well.
        drop(stopped.wait_for(|stop| *stop).await);
    };
    if let Err(error) = server::listen(listener, state, &role, stop).await {
        tracing::error!(%error, "a socket stopped listening");
    }
}

async fn watch_folders(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut watcher = Watcher::new(&app.home);
    let mut every = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        app.take_trips().await;
        if watcher.has_changed() {
            app.reload().await;
        }
    }
}

/// `on_tick` events, made by the host alone.
async fn tick(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(app.tick_interval());
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut number = 0u64;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        number += 1;
        app.tick(number).await;
        app.flush_due().await;
    }
}
