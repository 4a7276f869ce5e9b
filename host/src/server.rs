//! HTTP on the home's sockets and, where the operator asks for it, on a port
//! of this machine. `router` gives the routes of one door, so that what a role
//! may not do is not even there. Which routes those are is the table in
//! `server/routes.rs`; who is let in at a socket is in `server/peers.rs`, at
//! the port in `server/port.rs`, how many at a time in `server/connections.rs`.
//! Errors are RFC 9457 problem documents.

mod breakers;
mod buffers;
mod connections;
mod context;
mod events;
mod grants;
mod health;
mod outbox;
mod peers;
mod port;
mod port_checks;
mod problem;
mod prompts;
mod questions;
mod recipes;
mod reload;
mod review;
pub mod routes;
mod socket_file;
mod tokens;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;

use crate::app::breaker_desk::BreakerDesk;
use crate::app::buffer_listing::{Flushed, ListedBuffer};
use crate::app::health::Health;
use crate::app::listings::{GrantsListing, RecipesListing};
use crate::app::prompt_desk::{Back, NewPrompt, PromptRefusal};
use crate::app::prompt_listings::PromptsListing;
use crate::app::reading::Reading;
use crate::config::Source;
use crate::engine::Engine;
use crate::roles::Role;
use crate::store::{PromptChange, StoreError};

pub use events::EventAnswer;
pub use outbox::{OutboxStand, OutboxWish};
pub use peers::listen;
pub use port::listen_port;
pub use review::Said;
pub use socket_file::bind;
pub use tokens::Tokens;

/// The largest request body: a batch of envelopes at their largest.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What the agent may bring: events like anybody's, from senders that nobody
/// vouches for.
const AGENTS_TRIGGERS: [&str; 2] = ["on_mail", "on_event"];

/// One way in: a socket, or a token. As whom one comes in follows from it
/// alone, never from what a request says.
#[derive(Clone, Debug)]
pub struct Door {
    pub role: Role,
    /// As which source events come in here.
    pub source: Source,
}

impl Door {
    pub fn operator() -> Self {
        let source =
            Source { name: "operator".to_owned(), triggers: Vec::new(), may_assert_sender: true };
        Self { role: Role::Operator, source }
    }

    pub fn agent() -> Self {
        let source = Source {
            name: "agent".to_owned(),
            triggers: AGENTS_TRIGGERS.map(str::to_owned).to_vec(),
            may_assert_sender: false,
        };
        Self { role: Role::Agent, source }
    }

    pub fn source(source: Source) -> Self {
        Self { role: Role::Source, source }
    }

    /// What its socket and its token are called.
    pub fn name(&self) -> String {
        match self.role {
            Role::Operator | Role::Agent => self.role.as_str().to_owned(),
            Role::Source => format!("source-{}", self.source.name),
        }
    }
}

/// Something that takes a while.
pub type Job<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A change of what prompt is in use.
pub type PromptJob = Job<Result<PromptChange, PromptRefusal>>;

/// What handlers need.
#[derive(Clone)]
pub struct ServerState {
    pub engine: Engine,
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    pub recipes: Arc<dyn Fn() -> RecipesListing + Send + Sync>,
    pub grants: Arc<dyn Fn() -> GrantsListing + Send + Sync>,
    pub buffers: Arc<dyn Fn() -> Result<Vec<ListedBuffer>, StoreError> + Send + Sync>,
    /// Flushes the buffer of that name.
    pub flush: Arc<dyn Fn(String) -> Job<Result<Flushed, StoreError>> + Send + Sync>,
    pub prompts: Arc<dyn Fn() -> Result<PromptsListing, StoreError> + Send + Sync>,
    pub load_prompt: Arc<dyn Fn(NewPrompt) -> PromptJob + Send + Sync>,
    pub roll_prompt_back: Arc<dyn Fn(Back) -> PromptJob + Send + Sync>,
    pub breakers: Arc<BreakerDesk>,
    /// Reads the home again, and says what came of it.
    pub reload: Arc<dyn Fn() -> Job<Reading> + Send + Sync>,
}

/// What the handlers of one door need.
#[derive(Clone)]
struct DoorState {
    shared: ServerState,
    source: Source,
    role: Role,
}

/// The routes of one door.
fn router(shared: ServerState, door: &Door) -> Router {
    let mut router = Router::new();
    for route in routes::of_role(door.role) {
        router = router.route(route.path, route.methods());
    }
    router
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(DoorState { shared, source: door.source.clone(), role: door.role })
}
