//! The ways into a running service: a socket for each role and source, and the
//! port if the operator asks for one.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::reloader::Reloader;
use crate::app::{App, listings};
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
        let (roles, state, stop) = (Arc::clone(&roles), state.clone(), stop(stopped.clone()));
        listeners.spawn(async move { server::listen(listener, state, &door, roles, stop).await });
    }
    if let Some(address) = app.config().http {
        let tokens = Tokens::of_home(&app.home, doors(app))?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} ([http] listen)"))?;
        let own = listener.local_addr()?;
        printer.talk(&format!("HTTP on http://{own}, tokens in {}", app.home.tokens().display()));
        let stop = stop(stopped.clone());
        listeners.spawn(async move {
            if let Err(error) = server::listen_port(listener, state, tokens, stop).await {
                tracing::error!(%error, "nobody listens on the port");
            }
        });
    }
    Ok(listeners)
}

fn doors(app: &App) -> Vec<Door> {
    let built_in = [Door::operator(), Door::agent()];
    built_in.into_iter().chain(app.sources().into_iter().map(Door::source)).collect()
}

async fn stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stopped.wait_for(|stop| *stop).await);
}

fn server_state(app: &Arc<App>, reloader: &Arc<Reloader>) -> ServerState {
    let (health, recipes, grants) = (Arc::clone(app), Arc::clone(app), Arc::clone(app));
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
        reload: Arc::new(move || {
            let reloader = Arc::clone(&reloader);
            Box::pin(async move {
                reloader.reload().await;
            })
        }),
    }
}
