//! A hotwire that asks the host whatever its recipe lists and reports the
//! answers: what a grant or a budget forbids has to be refused by the host.
//!
//! ```toml
//! [config]
//! calls = [
//!   { call = "context-read.get", session = "s", key = "k" },
//!   { call = "journal-read.count", recipe = "other", times = 100 },
//! ]
//! action = "log"           # of the verdict; absent: `log`
//! ```
//! Without `calls` it asks each function once. Arguments are those of
//! `wit/host.wit` with underscores; one that is left out is empty or absent.
//! The verdict's reason is one line, `CALL: ANSWER` for each question and
//! ` (times N)` where an answer came several times in a row; an answer is its
//! value, `none`, or the refusal: `denied: ...`, `budget: ...`,
//! `unavailable: MS`, `invalid: ...`, `failed: ...`.

#[path = "../../emits-anything/src/text.rs"]
mod text;

use serde::Deserialize;
use thrall_sdk::journal::Query;
use thrall_sdk::{
    Envelope, HostError, Hotwire, Situation, Verdict, breaker, cockpit, config, context, journal,
    model,
};

use text::Text;

/// Every function that can be asked.
const ALL: [&str; 9] = [
    "context-read.get",
    "context-read.flag",
    "journal-read.count",
    "journal-read.recent",
    "breaker-read.state",
    "model.classify",
    "model.complete",
    "model.embed",
    "cockpit-read.get",
];

/// What fits into a reason.
const MAX_REASON_CHARS: usize = 2000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    calls: Vec<Question>,
    action: Option<String>,
}

/// Every argument of every function.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Question {
    call: String,
    times: Option<u32>,
    action: Option<String>,
    from_node: Option<String>,
    key: Text,
    label_set: Text,
    limit: Option<u32>,
    max_tokens: u32,
    params: Text,
    prompt: Text,
    recipe: Option<String>,
    route: Text,
    session: Option<Text>,
    since: u64,
    target: Text,
    text: Text,
}

struct Asks;

impl Hotwire for Asks {
    fn evaluate(_: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let mut config: Config = config::user(situation)?;
        if config.calls.is_empty() {
            config.calls = ALL
                .map(|call| Question { call: call.into(), ..Question::default() })
                .into_iter()
                .collect();
        }
        let mut told: Vec<(String, u32)> = Vec::new();
        for question in &config.calls {
            for _ in 0..question.times.unwrap_or(1) {
                let line = format!("{}: {}", question.call, answer(question)?);
                match told.last_mut() {
                    Some((last, times)) if *last == line => *times += 1,
                    _ => told.push((line, 1)),
                }
            }
        }
        let told: Vec<String> = told
            .into_iter()
            .map(|(line, times)| if times == 1 { line } else { format!("{line} (times {times})") })
            .collect();
        let reason: String = told.join("; ").chars().take(MAX_REASON_CHARS).collect();
        Ok(Some(Verdict::new(config.action.unwrap_or_else(|| "log".into()), reason)))
    }
}

thrall_sdk::export_hotwire!(Asks);

fn answer(asked: &Question) -> Result<String, String> {
    let session = asked.session.as_ref().map(Text::get);
    let query = || Query {
        recipe: asked.recipe.clone(),
        from_node: asked.from_node.clone(),
        session: session.clone(),
        action: asked.action.clone(),
        since: asked.since,
        limit: asked.limit.unwrap_or(200),
    };
    let text = asked.text.get();
    Ok(match asked.call.as_str() {
        "context-read.get" => {
            show(context::get(&session.unwrap_or_default(), &asked.key.get()), or_none)
        }
        "context-read.flag" => show(context::flag(&asked.key.get()), or_none),
        "journal-read.count" => show(journal::count(&query()), |count| count.to_string()),
        "journal-read.recent" => show(journal::recent(&query()), |rows| {
            let rows: Vec<String> =
                rows.iter().map(|row| format!("{} {}", row.recipe, row.action)).collect();
            format!("{} rows [{}]", rows.len(), rows.join(", "))
        }),
        "breaker-read.state" => show(breaker::state(&asked.target.get()), |breaker| {
            or_none(breaker.map(|breaker| format!("{}: {}", breaker.target, breaker.reason)))
        }),
        "model.classify" => {
            show(model::classify(&asked.prompt.get(), &asked.label_set.get(), &text), |said| {
                said.best
            })
        }
        "model.complete" => {
            show(model::complete(&asked.prompt.get(), &text, asked.max_tokens), |said| said.text)
        }
        "model.embed" => show(model::embed(&text), |vector| format!("{} numbers", vector.len())),
        "cockpit-read.get" => {
            show(cockpit::get(&asked.route.get(), &asked.params.get()), |json| json)
        }
        other => return Err(format!("no function is called {other:?}")),
    })
}

fn or_none(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".into())
}

fn show<T>(answer: Result<T, HostError>, value: impl FnOnce(T) -> String) -> String {
    match answer {
        Ok(answer) => value(answer),
        Err(HostError::Denied(line)) => format!("denied: {line}"),
        Err(HostError::Budget(budget)) => format!("budget: {budget}"),
        Err(HostError::Unavailable(ms)) => format!("unavailable: {ms}"),
        Err(HostError::Invalid(what)) => format!("invalid: {what}"),
        Err(HostError::Failed(what)) => format!("failed: {what}"),
    }
}
