//! `thrall ingest`: a file of envelopes through the same path as live events.
//! With a running service it goes through its socket; without one, an engine
//! is started here for as long as it takes.

mod lines;
mod summary;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use super::args::IngestArgs;
use super::printer::Printer;
use super::progress;
use super::socket_client::{Sent, SocketClient};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Source;
use crate::engine::{Pace, SubmitError, not_allowed};
use crate::envelope::json;
use crate::home::Home;
use crate::server::{Door, EventAnswer};
use lines::{Line, Lines};
use summary::Summary;

/// Envelopes in one submission: enough to share an fsync.
const BATCH: usize = 128;
/// How long a full lane is given to drain before the next try.
const RETRY: Duration = Duration::from_millis(20);

pub(super) async fn run(
    home: &Path,
    args: &IngestArgs,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let mut lines = Lines::open(&args.file)?;
    let client = SocketClient::new(&home.socket("operator"));
    let summary = if client.is_alive().await {
        printer.talk("A service is running: the events go through it.");
        through_service(&client, &mut lines).await?
    } else {
        in_process(home, &mut lines, args.table).await?
    };
    summary.print(printer)?;
    Ok(if summary.has_refused() { Outcome::No } else { Outcome::Done })
}

async fn in_process(home: Home, lines: &mut Lines, with_table: bool) -> anyhow::Result<Summary> {
    let app = App::open(home, Arc::new(SystemClock), Pace::Batch).await?;
    let running = app.start();
    let source =
        Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true };
    let first_row = app.store.reader().last_journal_id()?;
    let bar = progress::items(lines.total(), "ingest");
    let mut summary = Summary::default();
    while let Some(batch) = lines.next_batch(BATCH)? {
        let mut drafts = Vec::new();
        for line in batch {
            match line {
                Line::Draft(number, draft) => match not_allowed(&source, &draft.trigger) {
                    None => drafts.push(draft),
                    Some(error) => {
                        let code = SubmitError::NOT_ALLOWED;
                        app.engine.count_refusal(&source.name, code).await;
                        summary.count_refused(number, code, error.to_string());
                    }
                },
                Line::Refused(number, refusal) => {
                    app.engine.count_refusal(&source.name, refusal.code()).await;
                    summary.count_refused(number, refusal.code(), refusal.to_string());
                }
            }
            bar.inc(1);
        }
        while !drafts.is_empty() {
            match app.engine.submit(&source, drafts.clone()).await {
                Ok(accepted) => {
                    summary.count_accepted(&accepted);
                    break;
                }
                Err(SubmitError::Full(_)) => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
    bar.finish_and_clear();
    let bar = progress::items(app.engine.waiting() as u64, "decide");
    while tokio::time::timeout(RETRY * 5, app.engine.idle()).await.is_err() {
        bar.set_position(bar.length().unwrap_or(0).saturating_sub(app.engine.waiting() as u64));
    }
    bar.finish_and_clear();
    app.perform_all().await?;
    summary.read_decisions(app.store.reader(), first_row, with_table)?;
    running.stop().await;
    Ok(summary)
}

async fn through_service(client: &SocketClient, lines: &mut Lines) -> anyhow::Result<Summary> {
    let bar = progress::items(lines.total(), "ingest");
    let mut summary = Summary::default();
    // A request is refused whole for one event that its source may not bring, so
    // such a line is not sent.
    let source = Door::operator().source;
    while let Some(raw) = lines.next_raw_batch(BATCH)? {
        let mut batch = Vec::new();
        for (number, line) in raw {
            let draft = json::parse(&line).ok();
            match draft.and_then(|draft| not_allowed(&source, &draft.trigger)) {
                None => batch.push((number, line)),
                Some(error) => {
                    summary.count_refused(number, SubmitError::NOT_ALLOWED, error.to_string());
                    bar.inc(1);
                }
            }
        }
        if batch.is_empty() {
            continue;
        }
        let body = batch
            .iter()
            .flat_map(|(_, line)| line.iter().copied().chain([b'\n']))
            .collect::<Vec<u8>>();
        let answers = loop {
            match client.send_events(body.clone()).await? {
                Sent::Answered(answers) => break answers,
                Sent::Busy => tokio::time::sleep(RETRY).await,
            }
        };
        for ((number, _), answer) in batch.iter().zip(answers) {
            match answer {
                EventAnswer::Refused { code, reason } => {
                    summary.count_refused(*number, &code, reason);
                }
                EventAnswer::Accepted { id_conflict, .. } => summary.count_new(id_conflict),
                EventAnswer::Duplicate { .. } => summary.count_duplicate(),
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(summary)
}
