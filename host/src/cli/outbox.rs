//! `thrall outbox list|retry|drop`: what waits to be performed. Through a running
//! service, or on the database itself when there is none.

use std::path::Path;
use std::time::Duration;

use super::args::OutboxCommand;
use super::printer::{Printer, shorten, span};
use super::socket_client::{SocketClient, Told, target};
use super::{Outcome, recipe_names};
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::home::Home;
use crate::server::{OutboxStand, OutboxWish};
use crate::store::{Ordered, OutboxEntry, OutboxFilter, OutboxOrder, OutboxState, Reader, Store};

/// Of a node's id, as everywhere on a screen.
const RECIPIENT: usize = 24;
const DETAIL: usize = 60;

pub(super) async fn run(
    home: &Path,
    command: &OutboxCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        OutboxCommand::List { state, recipe, limit } => {
            let state = state.as_deref().map(str::parse::<OutboxState>).transpose()?;
            let filter = OutboxFilter { state, recipe: recipe.clone(), limit: *limit };
            list(&home, &filter, printer).await
        }
        OutboxCommand::Retry { id } => order(&home, *id, OutboxOrder::Retry, printer).await,
        OutboxCommand::Drop { id } => order(&home, *id, OutboxOrder::Drop, printer).await,
    }
}

async fn list(home: &Home, filter: &OutboxFilter, printer: &Printer) -> anyhow::Result<Outcome> {
    let entries: Vec<OutboxEntry> = match SocketClient::of_role(home).await {
        Some(client) => {
            let query = [
                ("state", filter.state.map(|state| state.as_str().to_owned())),
                ("recipe", filter.recipe.clone()),
                ("limit", Some(filter.limit.to_string())),
            ];
            match client.get(&target("/thrall/outbox", &query)).await? {
                Told::Answer(entries) => entries,
                Told::No(why) => return Ok(printer.no(&why)),
            }
        }
        None => Reader::open(&home.state())?.outbox_list(filter)?,
    };
    if entries.is_empty()
        && let Some(why) = recipe_names::unknown(home, filter.recipe.as_deref())?
    {
        return Ok(printer.no(&why));
    }
    if printer.is_json() {
        printer.json(&entries)?;
        return Ok(Outcome::Done);
    }
    let now = SystemClock.now();
    let rows: Vec<Vec<String>> = entries.iter().map(|entry| cells(entry, now)).collect();
    printer.table(
        &["id", "age", "state", "operation", "to", "recipe", "journal", "tries", "said last"],
        &rows,
    )?;
    Ok(Outcome::Done)
}

fn cells(entry: &OutboxEntry, now: TimestampMs) -> Vec<String> {
    vec![
        entry.id.to_string(),
        span(Duration::from_millis(now.0.saturating_sub(entry.created_at.0))),
        entry.state.as_str().to_owned(),
        entry.operation.clone(),
        shorten(&entry.recipient, RECIPIENT),
        entry.recipe.clone(),
        entry.journal_id.map_or_else(String::new, |id| id.to_string()),
        entry.attempts.to_string(),
        shorten(&entry.detail, DETAIL),
    ]
}

async fn order(
    home: &Home,
    id: i64,
    order: OutboxOrder,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let (state, is_served) = match SocketClient::of_role(home).await {
        Some(client) => {
            let wish = OutboxWish { what: order.as_str().to_owned() };
            let path = format!("/thrall/outbox/{id}");
            match client.post::<OutboxStand>(&path, serde_json::to_vec(&wish)?).await? {
                Told::Answer(stand) => (stand.state, true),
                Told::No(why) => return Ok(printer.no(&why)),
            }
        }
        None => {
            let store = Store::open(&home.state(), SystemClock.now())?;
            match store.order(id, order, SystemClock.now()).await? {
                Ordered::Done(state) => (state, false),
                Ordered::NoSuchRow => return Ok(printer.no(&OutboxOrder::no_such(id))),
                Ordered::Refused(state) => return Ok(printer.no(&order.refusal(id, state))),
            }
        }
    };
    let when = match (state, is_served) {
        (OutboxState::Pending, false) => ", and performed when the service runs",
        _ => "",
    };
    printer.talk(&format!("Outbox row {id} is {}{when}.", state.as_str()));
    Ok(Outcome::Done)
}
