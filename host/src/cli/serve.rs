//! `thrall serve`: the host as a service. Ticks, buffers' clock, watched logs, reload, and the
//! order in which all of it ends. The ways in are opened in `serve/doors.rs`, what is said
//! about who is who is in `serve/separation.rs`.

pub(super) mod doors;
mod open_files;
mod separation;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Outcome;
use super::printer::Printer;
use crate::app::App;
use crate::app::log_watch::Round;
use crate::app::reload::Watcher;
use crate::app::reloader::Reloader;
use crate::clock::SystemClock;
use crate::engine::Pace;
use crate::home::Home;

/// How often the folders are looked at: a dropped file is live within a second.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Looks at breakers take at most one part in so many of a processor, but come
/// this soon.
const BREAKERS_SHARE: u32 = 8;
const BREAKERS_AT_LATEST: Duration = Duration::from_millis(900);
/// How often watched logs are looked at, and how soon again when no more events
/// could be taken.
const LOGS_EVERY: Duration = Duration::from_millis(500);
const LOGS_AGAIN: Duration = Duration::from_millis(50);
/// How often buffers are looked at.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// In how many of these rounds what has expired is taken away: reading passes it
/// by meanwhile, and to look for it means to go through all that is remembered.
const FORGET_EVERY: u32 = 30;
/// How long open requests and rounds under way are given when the service ends.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn run(home: &Path, printer: &Printer) -> anyhow::Result<Outcome> {
    open_files::raise_limit();
    let app = Arc::new(App::open(Home::existing(home)?, Arc::new(SystemClock), Pace::Live).await?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let (stop, stopped) = watch::channel(false);
    let running = app.start();
    let reloader = Arc::new(Reloader::new(Arc::clone(&app)));
    let mut listeners = doors::open(&app, &reloader, &stopped, printer).await?;
    let mut background = JoinSet::new();
    let watching =
        watch_folders(Arc::clone(&app), Watcher::new(&app.home), reloader, stopped.clone());
    background.spawn(watching);
    background.spawn(tick(Arc::clone(&app), stopped.clone()));
    background.spawn(watch_breakers(Arc::clone(&app), stopped.clone()));
    background.spawn(flush(Arc::clone(&app), stopped.clone()));
    background.spawn(watch_logs(Arc::clone(&app), stopped.clone()));
    let warming = Arc::clone(&app);
    let warming = tokio::spawn(async move { warming.warm_model().await });
    for warning in &app.config().warnings {
        printer.talk(&format!("warning: {warning}"));
    }
    for line in separation::lines(&app).into_iter().chain(app.ready_lines()) {
        printer.talk(&line);
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => app.log.reopen(),
        }
    }
    printer.talk(
        "Stopping: nothing new is begun, what runs is finished within 10 s, what waits is picked up at the next start. A second signal ends at once.",
    );
    // Doors, runs and rounds end side by side; after the runs the outbox, and
    // with the last of them the store.
    let drained = async {
        stop.send_replace(true);
        warming.abort();
        tokio::join!(within_grace(&mut listeners), within_grace(&mut background), running.stop());
        app.look_at_breakers().await;
    };
    tokio::select! {
        () = drained => {}
        _ = terminate.recv() => printer.talk("Ended at once; what waits is picked up at the next start."),
        _ = interrupt.recv() => printer.talk("Ended at once; what waits is picked up at the next start."),
    }
    Ok(Outcome::Done)
}

/// Waits for tasks that were told to end, and ends those that do not.
async fn within_grace(tasks: &mut JoinSet<()>) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    drop(tokio::time::timeout(GRACE, ended).await);
    tasks.shutdown().await;
}

async fn watch_folders(
    app: Arc<App>,
    mut watcher: Watcher,
    reloader: Arc<Reloader>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut every = tokio::time::interval(WATCH_EVERY);
    let mut has_failed = false;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let has_tripped = app.take_trips().await;
        if watcher.has_changed() || has_tripped || has_failed {
            has_failed = !reloader.reload().await;
        }
    }
}

/// A file that is dropped in or removed counts within a second, also where there
/// are so many that a look takes a while.
async fn watch_breakers(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut pause = WATCH_EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let took = app.look_at_breakers().await;
        pause = (took * BREAKERS_SHARE).clamp(WATCH_EVERY, BREAKERS_AT_LATEST);
    }
}

/// `on_log` events, from the files that recipes watch.
async fn watch_logs(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    loop {
        let pause = match app.poll_logs().await {
            Round::More => Duration::ZERO,
            Round::Full => LOGS_AGAIN,
            Round::Quiet => LOGS_EVERY,
        };
        let stops = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        if stops {
            app.keep_log_places().await;
            return;
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
    }
}

/// Buffers whose time has come, and what was to be remembered until now: by a
/// clock of their own, however rarely `on_tick` is wanted.
async fn flush(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(FLUSH_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in (0..FORGET_EVERY).cycle() {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        app.flush_due().await;
        if round == 0 {
            app.forget_expired().await;
        }
    }
}
