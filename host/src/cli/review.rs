//! `thrall review list|confirm|correct`: what a person says about runs. Through
//! a running service, or on the database itself when there is none.

use std::path::Path;

use super::args::{ReviewCommand, ReviewState};
use super::printer::Printer;
use super::socket_client::SocketClient;
use super::{Outcome, recipe_names};
use crate::clock::{Clock, SystemClock};
use crate::home::Home;
use crate::server::Said;
use crate::store::{Reader, Review, ReviewEntry, Reviewed, Store};

pub(super) async fn run(
    home: &Path,
    command: &ReviewCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        ReviewCommand::List { recipe, state, limit } => {
            let state = state.map(word);
            let entries = Reader::open(&home.state())?.reviews(recipe.as_deref(), state, *limit)?;
            if entries.is_empty()
                && let Some(why) = recipe_names::unknown(&home, recipe.as_deref())?
            {
                return Ok(printer.no(&why));
            }
            list(&entries, printer)
        }
        ReviewCommand::Confirm { id, note } => {
            say(&home, *id, None, note.as_deref(), printer).await
        }
        ReviewCommand::Correct { id, action, note } => {
            say(&home, *id, Some(action), note.as_deref(), printer).await
        }
    }
}

/// As it is stored.
fn word(state: ReviewState) -> &'static str {
    match state {
        ReviewState::Open => "open",
        ReviewState::Confirmed => "confirmed",
        ReviewState::Corrected => "corrected",
    }
}

fn list(entries: &[ReviewEntry], printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(&entries)?;
        return Ok(Outcome::Done);
    }
    let rows = entries.iter().map(|entry| {
        let said = match (&entry.correction, &entry.role) {
            (Some(right), Some(role)) => format!("{role}: {right}"),
            (None, Some(role)) => format!("{role}: right"),
            _ => String::new(),
        };
        vec![
            entry.journal_id.to_string(),
            entry.at.to_log_form(),
            entry.recipe.clone(),
            entry.tier.clone(),
            entry.action.clone(),
            entry.state.clone(),
            said,
            entry.reason.clone(),
        ]
    });
    printer.table(
        &["id", "at", "recipe", "tier", "action", "state", "said", "reason"],
        &rows.collect::<Vec<_>>(),
    )?;
    Ok(Outcome::Done)
}

async fn say(
    home: &Home,
    id: i64,
    correction: Option<&String>,
    note: Option<&str>,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let said = Said { correction: correction.cloned(), note: note.unwrap_or_default().to_owned() };
    let reviewed = match SocketClient::of_role(home).await {
        Some(client) => client.review(id, &said).await?,
        None => {
            let store = Store::open(&home.state(), SystemClock.now())?;
            let review = Review {
                journal_id: id,
                correction: said.correction,
                note: said.note,
                // Whoever can open the database is the service's user, who is always
                // one of the operators.
                is_operator: true,
                at: SystemClock.now(),
            };
            store.review(review).await?
        }
    };
    Ok(match reviewed {
        Reviewed::Kept => {
            printer.talk(&format!("Review of {id} is kept."));
            Outcome::Done
        }
        Reviewed::NoSuchDecision => {
            printer.no(&format!("{id} is no decision of a recipe: see `thrall review list`"))
        }
        Reviewed::NoSuchAction(why) => printer.no(&why),
    })
}
