//! `thrall context show`: what recipes remember. Through a running service, or
//! from the database itself when there is none.

use std::path::Path;
use std::time::Duration;

use super::args::ContextCommand;
use super::printer::{Printer, shorten, span};
use super::socket_client::{SocketClient, Told, target};
use super::{Outcome, recipe_names};
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::home::Home;
use crate::store::{Memories, MemoryFilter, Reader};

const VALUE: usize = 60;

pub(super) async fn run(
    home: &Path,
    command: &ContextCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let ContextCommand::Show { recipe, session, limit } = command;
    let filter = MemoryFilter { recipe: recipe.clone(), session: session.clone(), limit: *limit };
    let memories: Memories = match SocketClient::of_role(&home).await {
        Some(client) => {
            let query = [
                ("recipe", filter.recipe.clone()),
                ("session", filter.session.clone()),
                ("limit", Some(filter.limit.to_string())),
            ];
            match client.get(&target("/thrall/context", &query)).await? {
                Told::Answer(memories) => memories,
                Told::No(why) => return Ok(printer.no(&why)),
            }
        }
        None => Reader::open(&home.state())?.memories(&filter, SystemClock.now())?,
    };
    if memories.context.is_empty()
        && memories.flags.is_empty()
        && let Some(why) = recipe_names::unknown(&home, recipe.as_deref())?
    {
        return Ok(printer.no(&why));
    }
    if printer.is_json() {
        printer.json(&memories)?;
        return Ok(Outcome::Done);
    }
    let now = SystemClock.now();
    let values = memories.context.iter().map(|entry| {
        let of = (&entry.recipe, entry.session.as_str(), &entry.key, &entry.value);
        cells(of, entry.expires_at, now)
    });
    let flags = memories.flags.iter().map(|entry| {
        cells((&entry.recipe, "(flag)", &entry.key, &entry.value), entry.expires_at, now)
    });
    let rows: Vec<Vec<String>> = values.chain(flags).collect();
    printer.table(&["recipe", "session", "key", "value", "expires"], &rows)?;
    Ok(Outcome::Done)
}

fn cells(
    (recipe, session, key, value): (&String, &str, &String, &String),
    expires_at: Option<TimestampMs>,
    now: TimestampMs,
) -> Vec<String> {
    let expiry =
        |at: TimestampMs| format!("in {}", span(Duration::from_millis(at.0.saturating_sub(now.0))));
    vec![
        if recipe.is_empty() { "(shared)".to_owned() } else { recipe.clone() },
        session.to_owned(),
        key.clone(),
        shorten(value, VALUE),
        expires_at.map_or_else(|| "never".to_owned(), expiry),
    ]
}
