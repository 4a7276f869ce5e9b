//! The gather stage: fetches what the recipe declares and keeps it with the
//! run. Each source is asked once, however many names take a part of its answer,
//! and all of them at the same time; what is asked of the host goes through the
//! gate like a guest's question. What cannot be had is left out and the trace
//! says why; a value is never made up. How facts are worked out is in
//! `gathered_facts.rs`.

use std::borrow::Cow;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;

use super::RunInput;
use super::gathered_facts;
use super::ports::{Gathered, Ports};
use super::record::RunRecord;
use crate::envelope::Field;
use crate::grants::{JournalScope, Need};
use crate::ids::Digest;
use crate::journal::GatherTrace;
use crate::recipes::{GatherSource, GatherSpec, JournalAsk, JournalWhat, Take};
use crate::stage::{HostAnswer, HostCalls, HostError, HostRequest, JournalFact, JournalQuery};

/// What all sources of one run may bring together, in bytes: as much as one
/// event may have.
const MAX_TOTAL_BYTES: usize = 64 * 1024;

/// Parameters of a route that takes none.
const NO_PARAMETERS: &str = "{}";

pub(super) async fn apply(ports: &Ports, input: RunInput<'_>, run: &mut RunRecord) {
    let specs = &input.revision.recipe.gather;
    if specs.is_empty() {
        return;
    }
    let answers = ask_all(input, run, specs).await;
    let mut left = MAX_TOTAL_BYTES;
    for spec in specs {
        let found = match &spec.source {
            _ if left == 0 => {
                Err(format!("the sources before it used up the {MAX_TOTAL_BYTES} bytes of a run"))
            }
            GatherSource::File(path) => read_file(ports, input, spec, path, left).await,
            GatherSource::Static(text) => Ok(cut(text.clone(), spec, left)),
            source => answered(input, source, &answers)
                .and_then(|answer| taken(answer, &spec.take))
                .map(|text| cut(text, spec, left)),
        };
        let mut trace = GatherTrace {
            name: spec.name.clone(),
            source: spec.source.to_string(),
            bytes: 0,
            sha256: None,
            truncated: false,
            replaced: false,
            error: None,
        };
        match found {
            Ok(Gathered { text, truncated, replaced }) => {
                left = left.saturating_sub(text.len());
                trace.bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
                trace.sha256 = Some(Digest::of(text.as_bytes()));
                trace.truncated = truncated;
                trace.replaced = replaced;
                let field = Field::new(spec.name.clone(), text);
                run.gathered.push(field.clone());
                run.inputs.gathered.push(field);
            }
            Err(why) => trace.error = Some(why),
        }
        run.gather.push(trace);
    }
}

/// What came of one question.
struct Answered {
    request: HostRequest,
    answer: Result<HostAnswer, HostError>,
    /// The answer as JSON, where somebody takes a part of it.
    json: Option<Result<Value, String>>,
}

/// Puts every question once. They wait side by side, so that a node that does
/// not answer costs its deadline once; each is put in its turn, so that the
/// record does not depend on who was quicker.
async fn ask_all(input: RunInput<'_>, run: &RunRecord, specs: &[GatherSpec]) -> Vec<Answered> {
    let mut requests: Vec<(HostRequest, bool)> = Vec::new();
    for spec in specs {
        let Ok(Some(request)) = request_of(input, &spec.source) else { continue };
        let takes_part = spec.take != Take::Whole;
        match requests.iter_mut().find(|(earlier, _)| *earlier == request) {
            Some((_, parse)) => *parse |= takes_part,
            None => requests.push((request, takes_part)),
        }
    }
    let door = run.gather_door();
    let answers = call_all(door.as_ref(), requests.iter().map(|(request, _)| request)).await;
    let answered = |((request, parse), answer): ((HostRequest, bool), _)| {
        let json = match &answer {
            Ok(HostAnswer::Json(text)) if parse => Some(
                serde_json::from_str(text)
                    .map_err(|error| format!("the answer is no JSON: {error}")),
            ),
            _ => None,
        };
        Answered { request, answer, json }
    };
    requests.into_iter().zip(answers).map(answered).collect()
}

async fn call_all(
    door: &dyn HostCalls,
    requests: impl Iterator<Item = &HostRequest>,
) -> Vec<Result<HostAnswer, HostError>> {
    let mut waiting: Vec<_> = requests.map(|request| (door.call(request.clone()), None)).collect();
    poll_fn(|context| {
        let mut is_pending = false;
        for (call, answer) in waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match call.as_mut().poll(context) {
                Poll::Ready(came) => *answer = Some(came),
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let late = || Err(HostError::Failed("no answer".to_owned()));
    waiting.into_iter().map(|(_, answer)| answer.unwrap_or_else(late)).collect()
}

/// The question that a source is; `None` for what needs none.
///
/// # Errors
/// Why there is nothing to ask for this event.
fn request_of(
    input: RunInput<'_>,
    source: &GatherSource,
) -> Result<Option<HostRequest>, &'static str> {
    Ok(Some(match source {
        GatherSource::Cockpit(route) => {
            HostRequest::CockpitGet { route: route.clone(), params: NO_PARAMETERS.to_owned() }
        }
        GatherSource::Journal(ask) => {
            let query = query(input, ask);
            match ask.what {
                JournalWhat::Count => HostRequest::JournalCount { query },
                JournalWhat::Recent => HostRequest::JournalRecent { query },
            }
        }
        GatherSource::Context(key) => match input.envelope.text("session_id") {
            "" => return Err("the event has no session"),
            session => HostRequest::ContextGet { session: session.to_owned(), key: key.clone() },
        },
        GatherSource::Flag(key) => HostRequest::ContextFlag { key: key.clone() },
        GatherSource::Static(_) | GatherSource::File(_) => return Ok(None),
    }))
}

/// A question that names no recipe is about as much as is granted, and says so:
/// then what stands in the record is what was answered.
fn query(input: RunInput<'_>, ask: &JournalAsk) -> JournalQuery {
    let (mut recipe, mut from_node) = (ask.recipe.clone(), None);
    if recipe.is_none() {
        let sender = input.envelope.sender().filter(|sender| !sender.is_empty());
        match (input.authority.journal_scope(), sender) {
            (JournalScope::All, _) => {}
            (JournalScope::Sender, Some(sender)) => from_node = Some(sender.to_owned()),
            (JournalScope::Sender | JournalScope::Own, _) => {
                recipe = Some(input.revision.recipe.name.clone());
            }
        }
    }
    JournalQuery {
        recipe,
        from_node,
        session: None,
        action: ask.action.clone(),
        since: input.now.minus(Duration::from_secs(ask.since_s)),
        limit: ask.limit,
    }
}

/// The answer that a source got.
fn answered<'a>(
    input: RunInput<'_>,
    source: &GatherSource,
    answers: &'a [Answered],
) -> Result<&'a Answered, String> {
    let request = request_of(input, source)?;
    let found = answers.iter().find(|one| request.as_ref() == Some(&one.request));
    let found = found.ok_or("was not asked")?;
    match &found.answer {
        Ok(_) => Ok(found),
        // As elsewhere: a line that can be pasted is called missing.
        Err(HostError::Denied(line)) if line.contains("  # grants/") => {
            Err(format!("denied, missing: {line}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The part of an answer that a spec takes.
fn taken(found: &Answered, take: &Take) -> Result<String, String> {
    let json = || match &found.json {
        Some(Ok(json)) => Ok(json),
        Some(Err(why)) => Err(why.clone()),
        None => Err("the answer is no JSON".to_owned()),
    };
    match (take, &found.answer) {
        (Take::Pointer(pointer), _) => at(json()?, pointer),
        (Take::Fact(fact), Ok(HostAnswer::Entries(rows))) => gathered_facts::of_rows(*fact, rows),
        (Take::Fact(fact), _) => gathered_facts::of_json(*fact, json()?),
        (Take::Whole, Ok(answer)) => whole(answer),
        (Take::Whole, Err(error)) => Err(error.to_string()),
    }
}

fn whole(answer: &HostAnswer) -> Result<String, String> {
    match answer {
        HostAnswer::Json(text) => Ok(text.clone()),
        HostAnswer::Text(Some(text)) => Ok(text.clone()),
        HostAnswer::Text(None) => Err("nothing is kept under that key".to_owned()),
        HostAnswer::Count(count) => Ok(count.to_string()),
        HostAnswer::Entries(rows) => rows_as_json(rows),
        _ => Err("the host answered another question".to_owned()),
    }
}

fn rows_as_json(rows: &[JournalFact]) -> Result<String, String> {
    serde_json::to_string(rows).map_err(|error| format!("cannot be written: {error}"))
}

/// What a JSON pointer leads to: text as it is, anything else as JSON.
fn at(json: &Value, pointer: &str) -> Result<String, String> {
    match json.pointer(pointer) {
        None => Err(format!("the answer holds nothing at {pointer}")),
        Some(Value::Null) => Err(format!("{pointer} is null")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
    }
}

/// The beginning of a text, as much as may be taken.
fn cut(mut text: String, spec: &GatherSpec, left: usize) -> Gathered {
    let mut end = cap(spec, left);
    let truncated = text.len() > end;
    if truncated {
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    Gathered { text, truncated, replaced: false }
}

fn cap(spec: &GatherSpec, left: usize) -> usize {
    usize::try_from(spec.max_bytes).unwrap_or(usize::MAX).min(left)
}

async fn read_file(
    ports: &Ports,
    input: RunInput<'_>,
    spec: &GatherSpec,
    path: &str,
    left: usize,
) -> Result<Gathered, String> {
    input
        .authority
        .allow(&Need::GatherFile(Cow::Borrowed(path)))
        .map_err(|denial| format!("denied, missing: {denial}"))?;
    let cap = cap(spec, left);
    let found = ports.gatherer.read(path, cap).await?;
    if found.text.len() > cap {
        return Err(format!("{} bytes came, {cap} were asked for", found.text.len()));
    }
    Ok(found)
}

/// The end of a text, at most `max_bytes`, from the beginning of a line if
/// there is one. `begins_inside` says that the text itself begins inside a
/// line.
pub fn last_lines(text: &str, max_bytes: usize, begins_inside: bool) -> &str {
    let mut from = text.len().saturating_sub(max_bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let (before, rest) = text.split_at(from);
    if before.ends_with('\n') || (before.is_empty() && !begins_inside) {
        return rest;
    }
    match rest.split_once('\n') {
        Some((_, lines)) if !lines.is_empty() => lines,
        // One line that is longer than all that may be taken.
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn whole_lines_are_taken_where_there_are_any() {
        assert_eq!(last_lines("a\nb\nc", 10, false), "a\nb\nc");
        assert_eq!(last_lines("a\nb\nc", 10, true), "b\nc");
        assert_eq!(last_lines("aa\nbb\ncc\n", 7, false), "bb\ncc\n");
        assert_eq!(last_lines("aa\nbb\ncc\n", 6, false), "bb\ncc\n");
        assert_eq!(last_lines("aa\nbb\ncc\n", 5, false), "cc\n");
        assert_eq!(last_lines("aaaaaa\n", 3, false), "aa\n");
        assert_eq!(last_lines("äää", 3, false), "ä");
        assert_eq!(last_lines("", 0, true), "");
        assert_eq!(last_lines("abc", 0, false), "");
    }
}
