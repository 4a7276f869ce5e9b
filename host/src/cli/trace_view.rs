//! A trace as lines for a person. JSON readers get the trace itself.

use super::printer::{Printer, shorten};
use crate::journal::Trace;

/// Prints filter, evaluate, action, host calls and usage, one aspect a line.
pub(super) fn print(printer: &Printer, trace: &Trace) -> anyhow::Result<()> {
    let filter = &trace.filter;
    printer.line(&labelled(
        "filter",
        &join(&[&filter.decision, &format!("tier={}", filter.tier.as_str()), &filter.reason]),
    ))?;
    for source in &trace.gather {
        let outcome = match &source.error {
            Some(why) => format!("nothing: {}", shorten(why, 200)),
            None => join(&[
                &format!("{} bytes", source.bytes),
                if source.truncated { "truncated" } else { "" },
                if source.replaced { "not all of it was UTF-8" } else { "" },
            ]),
        };
        printer.line(&labelled(
            "gather",
            &format!("{} = {}  {outcome}", source.name, shorten(&source.source, 120)),
        ))?;
    }
    let evaluate = &trace.evaluate;
    let confidence =
        evaluate.result.confidence.map(|c| format!("confidence {c:.2}")).unwrap_or_default();
    printer.line(&labelled(
        "evaluate",
        &join(&[
            evaluate.eval_type.as_str(),
            &evaluate.stage,
            &format!("-> {}", evaluate.result.action),
            &confidence,
            &shorten(&evaluate.result.reason, 160),
        ]),
    ))?;
    for note in &evaluate.notes {
        printer.line(&labelled("", &format!("note: {}", shorten(note, 160))))?;
    }
    if let Some(model) = &evaluate.model {
        let prompt = evaluate.prompt_hash.as_deref().unwrap_or("-");
        printer.line(&labelled(
            "model",
            &format!("{model}, prompt {prompt}, {} tokens", trace.usage.model_tokens),
        ))?;
        let scores: Vec<String> = top_scores(&evaluate.scores)
            .iter()
            .map(|(label, score)| format!("{label} {score:.2}"))
            .collect();
        printer.line(&labelled("scores", &scores.join(", ")))?;
    }
    let executed = if trace.action.executed { "executed" } else { "not executed" };
    printer.line(&labelled("action", &format!("{} ({executed})", trace.action.name)))?;
    for planned in &trace.action.operations {
        let ruling =
            planned.denied_by.as_ref().map_or_else(|| "allowed".to_owned(), |why| denied(why));
        let detail = serde_json::to_string(&planned.operation).unwrap_or_default();
        printer.line(&labelled(
            "",
            &format!("{} {ruling}  {}", planned.operation.kind(), shorten(&detail, 120)),
        ))?;
    }
    for note in &trace.action.notes {
        printer.line(&labelled("", &format!("note: {note}")))?;
    }
    for call in &trace.host_calls {
        let (interface, function) = call.request.name();
        let answer = match &call.answer {
            Ok(answer) => shorten(&serde_json::to_string(answer).unwrap_or_default(), 100),
            Err(error) => error.to_string(),
        };
        printer.line(&labelled(
            "host call",
            &format!("{} {interface}.{function} = {answer}", call.stage),
        ))?;
        if let Some(narrower) = &call.answered_as {
            let asked = serde_json::to_string(narrower).unwrap_or_default();
            let what = format!("answered as {}, which is what is granted", shorten(&asked, 120));
            printer.line(&labelled("", &what))?;
        }
    }
    for line in &trace.logs {
        printer.line(&labelled("log", &line.message))?;
    }
    let fuel: u64 = trace.usage.stages.iter().map(|(_, usage)| usage.fuel).sum();
    let memory = trace.usage.stages.iter().map(|(_, usage)| usage.memory_bytes).max().unwrap_or(0);
    printer.line(&labelled(
        "usage",
        &format!(
            "{} guest calls, fuel {fuel}, memory {} KiB, {} µs",
            trace.usage.stages.len(),
            memory / 1024,
            trace.usage.wall_us
        ),
    ))?;
    let recipe = &trace.recipe;
    printer.line(&labelled(
        "recipe",
        &format!("{} {} mode={}", recipe.name, recipe.revision.short(), recipe.mode.as_str()),
    ))?;
    printer.line(&labelled("hash", &trace.decision_hash.to_string()))
}

fn labelled(label: &str, text: &str) -> String {
    format!("  {label:<10} {text}")
}

fn join(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("  ")
}

fn top_scores(scores: &[(String, f32)]) -> Vec<&(String, f32)> {
    let mut sorted: Vec<_> = scores.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    sorted.truncate(4);
    sorted
}

/// A line that the grant lacks, or a reason that no grant changes.
fn denied(why: &str) -> String {
    let said = if why.contains("  # grants/") { "denied, missing" } else { "denied" };
    format!("{said}: {why}")
}
