//! `thrall buffer list|show|flush`: what is collected for the agent. Through a
//! running service, or on the home itself when there is none.

use std::path::Path;
use std::time::Duration;

use super::Outcome;
use super::args::BufferCommand;
use super::printer::{Printer, shorten, span};
use super::socket_client::{SocketClient, Told, encoded, target};
use crate::app;
use crate::app::buffer_listing::{self, Filler, Flushed, ListedBuffer};
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::config::Config;
use crate::fault_points;
use crate::home::Home;
use crate::store::{ListedItem, Reader, Store};

/// Of a text, in characters: an item is one line.
const BODY: usize = 60;

pub(super) async fn run(
    home: &Path,
    command: &BufferCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        BufferCommand::List => list(&home, printer).await,
        BufferCommand::Show { name, limit } => show(&home, name, *limit, printer).await,
        BufferCommand::Flush { name } => flush(&home, name, printer).await,
    }
}

/// Every buffer, without a service: from the folders and the database.
async fn buffers_of(home: &Home, config: &Config) -> anyhow::Result<Vec<ListedBuffer>> {
    let stored = Reader::open(&home.state())?.buffers(SystemClock.now())?;
    let deciders = app::deciders(home, config)?;
    let registry = app::registry_of(home, config, &deciders).await?;
    Ok(buffer_listing::listing(stored, &registry, &config.compilation))
}

async fn list(home: &Home, printer: &Printer) -> anyhow::Result<Outcome> {
    let buffers = match SocketClient::of_role(home).await {
        Some(client) => match client.get("/thrall/buffers").await? {
            Told::Answer(buffers) => buffers,
            Told::No(why) => return Ok(printer.no(&why)),
        },
        None => buffers_of(home, &Config::load(&home.config_file())?).await?,
    };
    if printer.is_json() {
        printer.json(&buffers)?;
        return Ok(Outcome::Done);
    }
    let now = SystemClock.now();
    let rows: Vec<Vec<String>> = buffers.iter().map(|buffer| cells(buffer, now)).collect();
    printer.table(&["buffer", "items", "bytes", "oldest", "filled by", "flushed"], &rows)?;
    Ok(Outcome::Done)
}

fn cells(buffer: &ListedBuffer, now: TimestampMs) -> Vec<String> {
    let items = match buffer.flushing {
        0 => buffer.items.to_string(),
        flushing => format!("{} (and {flushing} on their way)", buffer.items),
    };
    let age = |at: TimestampMs| span(Duration::from_millis(now.0.saturating_sub(at.0)));
    vec![
        buffer.name.clone(),
        items,
        buffer.bytes.to_string(),
        buffer.oldest.map_or_else(String::new, age),
        buffer.filled_by.iter().map(filler).collect::<Vec<_>>().join(", "),
        occasions(buffer, now).join("; "),
    ]
}

fn filler(filler: &Filler) -> String {
    let state = if filler.is_live { "" } else { " (not live)" };
    format!("{}{state}", filler.recipe)
}

/// What flushes a buffer, whichever comes first. Recipes that are not live fill
/// nothing.
fn occasions(buffer: &ListedBuffer, now: TimestampMs) -> Vec<String> {
    let mut occasions = vec![match buffer.timer_at {
        Some(at) if at <= now => "at the next tick".to_owned(),
        Some(at) => format!("in {}", span(Duration::from_millis(at.0.saturating_sub(now.0)))),
        None => format!("{} after an item", span(Duration::from_secs(buffer.interval_s))),
    }];
    let live = || buffer.filled_by.iter().filter(|filler| filler.is_live);
    let thresholds = live().map(|filler| filler.threshold).filter(|threshold| *threshold > 0);
    occasions.extend(thresholds.min().map(|threshold| format!("at {threshold} items")));
    let mut words: Vec<&str> =
        live().flat_map(|filler| &filler.keywords).map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    if !words.is_empty() {
        occasions.push(format!("by {}", words.join(", ")));
    }
    occasions
}

async fn show(home: &Home, name: &str, limit: u32, printer: &Printer) -> anyhow::Result<Outcome> {
    let items: Vec<ListedItem> = match SocketClient::of_role(home).await {
        Some(client) => {
            let path = format!("/thrall/buffers/{}", encoded(name));
            match client.get(&target(&path, &[("limit", Some(limit.to_string()))])).await? {
                Told::Answer(items) => items,
                Told::No(why) => return Ok(printer.no(&why)),
            }
        }
        None => {
            let items = Reader::open(&home.state())?.buffer_items(name, limit)?;
            if items.is_empty()
                && let Some(why) = unknown(home, name).await?
            {
                return Ok(printer.no(&why));
            }
            items
        }
    };
    if printer.is_json() {
        printer.json(&items)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = items.iter().map(item_cells).collect();
    printer.table(
        &["at (UTC)", "state", "sender", "tier", "type", "recipe", "reason", "text"],
        &rows,
    )?;
    Ok(Outcome::Done)
}

fn item_cells(listed: &ListedItem) -> Vec<String> {
    let item = &listed.item;
    let text = match &item.lines {
        Some(lines) if lines.count > 1 => format!("{} times: {}", lines.count, item.body),
        _ => item.body.clone(),
    };
    vec![
        item.at.to_log_form(),
        if listed.is_flushing { "on its way" } else { "waits" }.to_owned(),
        item.sender_key.clone(),
        item.tier.clone(),
        item.msg_type.clone(),
        item.recipe.clone(),
        shorten(&item.reason, BODY),
        shorten(&text, BODY),
    ]
}

/// Why a name is no buffer's, if it is none.
async fn unknown(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let buffers = buffers_of(home, &Config::load(&home.config_file())?).await?;
    let is_known = buffers.iter().any(|buffer| buffer.name == name);
    Ok((!is_known).then(|| buffer_listing::no_such(name, &buffers)))
}

async fn flush(home: &Home, name: &str, printer: &Printer) -> anyhow::Result<Outcome> {
    let (flushed, when) = match SocketClient::of_role(home).await {
        Some(client) => {
            let path = format!("/thrall/buffers/{}/flush", encoded(name));
            match client.post::<Flushed>(&path, Vec::new()).await? {
                Told::Answer(flushed) => (flushed, ""),
                Told::No(why) => return Ok(printer.no(&why)),
            }
        }
        None => {
            let config = Config::load(&home.config_file())?;
            let now = SystemClock.now();
            let store = Store::open(&home.state(), now)?;
            let faults = fault_points::none();
            let flushed =
                app::flush_buffer(&store, name.to_owned(), now, config.dry_run, &faults).await?;
            if flushed.briefings.is_empty() {
                drop(store);
                let why = unknown(home, name).await?;
                return Ok(printer.no(&why.unwrap_or_else(|| buffer_listing::nothing_waits(name))));
            }
            (flushed, ", written when the service runs")
        }
    };
    if printer.is_json() {
        printer.json(&flushed)?;
        return Ok(Outcome::Done);
    }
    for briefing in &flushed.briefings {
        printer.talk(&format!("{name} is flushed into artifacts/{briefing}{when}."));
    }
    Ok(Outcome::Done)
}
