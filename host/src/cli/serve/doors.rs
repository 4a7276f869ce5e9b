//! The ways into a running service: a socket for each role and source, and the
//! port if the operator asks for one.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::reloader::Reloader;
use crate::app::{self, App, listings};
use crate::cli::printer::Printer;
use crate::roles;
use crate::server::{self, Door, ServerState, Tokens};

/// Opens every door; they close when `stopped` says so.
///
/// # Errors
/// When a socket or the port cannot be bound, or a token cannot be read.
pub(super) async fn open(
    app: &Arc<App>,
    reloader: &Arc<Reloader>,
    stopped: &watch::Receiver<bool>,
    printer: &Printer,
) -> anyhow::Result<JoinSet<()>> {
    let mut listeners = JoinSet::new();
    let state = server_state(app, reloader);
    let roles = Arc::new(app.config().roles.clone());
    for door in doors(app) {
        let (listener, warning) = server::bind(&app.home, &door, &roles)?;
        if let Some(warning) = warning {
            printer.talk(&format!("warning: {warning}"));
        }
        let (roles, state, stop) = (Arc::clone(&roles), state.clone(), app::ended(stopped.clone()));
        listeners.spawn(async move { server::listen(listener, state, &door, roles, stop).await });
    }
    if let Some(address) = app.config().http {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} ([http] listen)"))?;
        let own = listener.local_addr()?;
        printer.talk(&format!("HTTP on http://{own}, tokens in {}", app.home.tokens().display()));
        listeners.spawn(port(app, reloader, listener, stopped)?);
    }
    Ok(listeners)
}

/// Serves a port until `stopped` says so.
///
/// # Errors
/// When a token cannot be read or made.
pub(in crate::cli) fn port(
    app: &Arc<App>,
    reloader: &Arc<Reloader>,
    listener: TcpListener,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    let tokens = Tokens::of_home(&app.home, doors(app))?;
    let state = server_state(app, reloader);
    let stop = app::ended(stopped.clone());
    Ok(async move {
        if let Err(error) = server::listen_port(listener, state, tokens, stop).await {
            tracing::error!(%error, "nobody listens on the port");
        }
    })
}

fn doors(app: &App) -> Vec<Door> {
    let built_in = [Door::operator(), Door::agent()];
    built_in.into_iter().chain(app.sources().into_iter().map(Door::source)).collect()
}

fn server_state(app: &Arc<App>, reloader: &Arc<Reloader>) -> ServerState {
    let (health, recipes, grants) = (Arc::clone(app), Arc::clone(app), Arc::clone(app));
    let (buffers, flushing) = (Arc::clone(app), Arc::clone(app));
    let (prompts, loads, backs) = (Arc::clone(app), Arc::clone(app), Arc::clone(app));
    let (after_load, after_back) = (Arc::clone(reloader), Arc::clone(reloader));
    let reloader = Arc::clone(reloader);
    ServerState {
        engine: app.engine.clone(),
        health: Arc::new(move || health.health()),
        recipes: Arc::new(move || {
            let separation = recipes.config().roles.separation();
            let ceiling = roles::ceiling(&recipes.config());
            listings::recipes(&recipes.registry.load(), &separation, ceiling)
        }),
        grants: Arc::new(move || {
            let separation = grants.config().roles.separation();
            let ceiling = roles::ceiling(&grants.config());
            listings::grants(&grants.registry.load(), &separation, ceiling)
        }),
        buffers: Arc::new(move || buffers.buffers()),
        flush: Arc::new(move |name| {
            let app = Arc::clone(&flushing);
            Box::pin(async move { app.flush_buffer(name).await })
        }),
        prompts: Arc::new(move || prompts.prompts()),
        // Recipes are held against the prompts that they name.
        load_prompt: Arc::new(move |new| {
            let (app, reloader) = (Arc::clone(&loads), Arc::clone(&after_load));
            Box::pin(async move {
                let change = app.load_prompt(new).await?;
                reloader.reload().await;
                Ok(change)
            })
        }),
        roll_prompt_back: Arc::new(move |back| {
            let (app, reloader) = (Arc::clone(&backs), Arc::clone(&after_back));
            Box::pin(async move {
                let change = app.roll_prompt_back(back).await?;
                reloader.reload().await;
                Ok(change)
            })
        }),
        breakers: Arc::clone(&app.breaker_desk),
        reload: Arc::new(move || {
            let reloader = Arc::clone(&reloader);
            Box::pin(async move {
                reloader.reload().await;
                reloader.last()
            })
        }),
    }
}
