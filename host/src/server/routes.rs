//! Who may do what over HTTP: the one table from which every door's routes
//! are made, and which the tests go through.

use axum::routing::{MethodFilter, MethodRouter, on};

use super::{
    DoorState, breakers, buffers, context, events, grants, health, outbox, prompts, questions,
    recipes, reload, review,
};
use crate::roles::Role;

/// Methods that routes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One thing that can be asked.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub roles: &'static [Role],
    handler: fn(MethodFilter) -> MethodRouter<DoorState>,
}

impl Route {
    pub(super) fn methods(&self) -> MethodRouter<DoorState> {
        (self.handler)(self.method.filter())
    }
}

const EVERYBODY: &[Role] = &[Role::Operator, Role::Agent, Role::Source];
/// Nothing that only they may do changes what a recipe may.
const OPERATOR_AND_AGENT: &[Role] = &[Role::Operator, Role::Agent];
const OPERATOR: &[Role] = &[Role::Operator];

/// Every route, with the roles that have it.
pub static ROUTES: [Route; 21] = [
    Route {
        method: Method::Post,
        path: "/thrall/events",
        roles: EVERYBODY,
        handler: |method| on(method, events::post),
    },
    Route {
        method: Method::Get,
        path: "/health",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, health::get),
    },
    Route {
        method: Method::Post,
        path: "/thrall/reload",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, reload::post),
    },
    Route {
        method: Method::Get,
        path: "/thrall/recipes",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, recipes::get),
    },
    Route {
        method: Method::Get,
        path: "/thrall/grants",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, grants::get),
    },
    // The agent brings events that nobody waits for.
    Route {
        method: Method::Post,
        path: "/thrall/questions",
        roles: &[Role::Operator, Role::Source],
        handler: |method| on(method, questions::post),
    },
    Route {
        method: Method::Get,
        path: "/thrall/review",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, review::list),
    },
    Route {
        method: Method::Post,
        path: "/thrall/review/{id}",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, review::post),
    },
    Route {
        method: Method::Get,
        path: "/thrall/outbox",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, outbox::list),
    },
    // Sends again what may have arrived, or gives up what a recipe was granted.
    Route {
        method: Method::Post,
        path: "/thrall/outbox/{id}",
        roles: OPERATOR,
        handler: |method| on(method, outbox::post),
    },
    Route {
        method: Method::Get,
        path: "/thrall/buffers",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, buffers::list),
    },
    Route {
        method: Method::Get,
        path: "/thrall/buffers/{name}",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, buffers::show),
    },
    // Wakes the agent, which costs what the operator pays, beyond any grant.
    Route {
        method: Method::Post,
        path: "/thrall/buffers/{name}/flush",
        roles: OPERATOR,
        handler: |method| on(method, buffers::flush),
    },
    Route {
        method: Method::Get,
        path: "/thrall/context",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, context::get),
    },
    Route {
        method: Method::Get,
        path: "/thrall/prompts",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, prompts::list),
    },
    Route {
        method: Method::Get,
        path: "/thrall/prompts/{name}",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, prompts::get),
    },
    // What the model is told decides what everybody's mail becomes.
    Route {
        method: Method::Post,
        path: "/thrall/prompts",
        roles: OPERATOR,
        handler: |method| on(method, prompts::post),
    },
    Route {
        method: Method::Post,
        path: "/thrall/prompts/{name}/rollback",
        roles: OPERATOR,
        handler: |method| on(method, prompts::roll_back),
    },
    Route {
        method: Method::Get,
        path: "/thrall/breakers",
        roles: OPERATOR_AND_AGENT,
        handler: |method| on(method, breakers::list),
    },
    // Whoever stops and lets go decides what is looked at at all.
    Route {
        method: Method::Post,
        path: "/thrall/breakers",
        roles: OPERATOR,
        handler: |method| on(method, breakers::trip),
    },
    Route {
        method: Method::Delete,
        path: "/thrall/breakers/{target}",
        roles: OPERATOR,
        handler: |method| on(method, breakers::clear),
    },
];

/// The routes of one role.
pub fn of_role(role: Role) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.roles.contains(&role))
}
