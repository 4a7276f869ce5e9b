//! `thrall breaker list|trip|clear`: what is stopped. Through a running service,
//! or on the files themselves when there is none.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::Outcome;
use super::args::BreakerCommand;
use super::printer::{Printer, shorten};
use super::socket_client::SocketClient;
use crate::app::breaker_desk::{
    self, BreakerDesk, BreakerError, BreakersListing, ListedBreaker, TripRequest,
};
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::home::Home;
use crate::store::{Reader, Store};
use crate::telemetry::EventLog;

/// Whoever may write the folder is one of the operators.
const OPERATOR: &str = "operator";

pub(super) async fn run(
    home: &Path,
    command: &BreakerCommand,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    match command {
        BreakerCommand::List => {
            let listing = match SocketClient::of_role(&home).await {
                Some(client) => client.breakers().await?,
                None => on_disk(&home)?,
            };
            list(&listing, printer)
        }
        BreakerCommand::Trip { target, reason, expire } => {
            let asked = TripRequest {
                target: target.clone(),
                reason: reason.clone(),
                expires_in_s: *expire,
            };
            let done = match SocketClient::of_operator(&home).await? {
                Some(client) => client.trip_breaker(&asked).await?,
                None => tell(trip_here(&home, &asked).await)?,
            };
            Ok(report(done, printer, |found| {
                let until = match found.expires_in_s {
                    Some(seconds) => format!("for {seconds} s"),
                    None => "until it is cleared".to_owned(),
                };
                format!("{} is stopped {until}: {}", found.target, found.file)
            }))
        }
        BreakerCommand::Clear { target } => {
            let done = match SocketClient::of_operator(&home).await? {
                Some(client) => client.clear_breaker(target).await?,
                None => tell(clear_here(&home, target).await)?,
            };
            Ok(report(done, printer, |()| format!("{target} is not stopped any more.")))
        }
    }
}

/// Refusals are answers, what the machine does not allow is an error.
fn tell<T>(done: Result<T, BreakerError>) -> anyhow::Result<Result<T, String>> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(
            error @ (BreakerError::Target(_) | BreakerError::NoReason | BreakerError::NotThere(..)),
        ) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn report<T>(done: Result<T, String>, printer: &Printer, say: impl FnOnce(T) -> String) -> Outcome {
    match done {
        Ok(done) => {
            printer.talk(&say(done));
            Outcome::Done
        }
        Err(why) => printer.no(&why),
    }
}

fn on_disk(home: &Home) -> anyhow::Result<BreakersListing> {
    let now = SystemClock.now();
    let breakers = Breakers::existing(&home.breakers(), now)
        .with_context(|| format!("cannot open {}", home.breakers().display()))?;
    // A home that never ran has no database.
    let reader = Reader::open(&home.state()).ok();
    Ok(breaker_desk::listing(&breakers, reader.as_ref(), now)?)
}

/// The desk of a home without a service.
fn desk(home: &Home) -> Result<BreakerDesk, BreakerError> {
    let clock = Arc::new(SystemClock);
    let breakers =
        Breakers::open(&home.breakers(), clock.now()).map_err(BreakerError::NotWritten)?;
    if let Ok(config) = Config::load(&home.config_file()) {
        breakers.set_usual_expiry(config.breaker_expire_s);
    }
    let store = Store::open(&home.state(), clock.now())?;
    let log = EventLog::open(&home.log_file());
    Ok(BreakerDesk::new(Arc::new(breakers), Arc::new(store), Arc::new(log), clock))
}

async fn trip_here(home: &Home, asked: &TripRequest) -> Result<ListedBreaker, BreakerError> {
    let desk = desk(home)?;
    let done = desk.trip(asked, OPERATOR);
    desk.keep_history().await;
    done
}

async fn clear_here(home: &Home, target: &str) -> Result<(), BreakerError> {
    let desk = desk(home)?;
    let done = desk.clear(target, OPERATOR);
    desk.keep_history().await;
    done
}

fn list(listing: &BreakersListing, printer: &Printer) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(listing)?;
        return Ok(Outcome::Done);
    }
    let rows = listing.breakers.iter().map(|one| {
        vec![
            one.target.clone(),
            one.kind.clone(),
            one.since.to_log_form(),
            one.expires_in_s.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds} s")),
            one.trips.to_string(),
            one.blocked.to_string(),
            shorten(&one.reason, 60),
        ]
    });
    printer.table(
        &["target", "type", "since (UTC)", "expires in", "trips", "blocked", "reason"],
        &rows.collect::<Vec<_>>(),
    )?;
    for problem in &listing.problems {
        printer.talk(problem);
    }
    Ok(Outcome::Done)
}
