//! The model and the node of a scenario: they answer what is written down, and
//! nothing else.

use std::sync::Mutex;

use async_trait::async_trait;
use thrall::model::{
    Classification, ClassifyRequest, CompleteRequest, Completion, ModelBackend, ModelError, Usage,
};
use thrall::outbox::node::{Attempt, MailCall, Node, WakeCall};
use thrall::pipeline::ports::Cockpit;
use thrall::stage::HostError;
use thrall::store::SkillAnswer;

/// Answers by what the message holds: `contains`, then `label` and `p`, or
/// `error` (`overflow`, `unavailable`, `timeout`, `failed`); with `undeclared` the
/// label need be none that it was asked for. With `tier` or
/// `prompt` only questions of that tier or prompt are meant.
pub(super) struct ScriptedModel {
    answers: Vec<toml::Table>,
}

impl ScriptedModel {
    pub(super) fn new(answers: &[toml::Table]) -> Self {
        Self { answers: answers.to_vec() }
    }
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Option<&'a str> {
    table.get(key).map(|value| value.as_str().unwrap())
}

#[async_trait]
impl ModelBackend for ScriptedModel {
    async fn classify(&self, request: ClassifyRequest) -> Result<Classification, ModelError> {
        let found = self.answers.iter().find(|answer| {
            text(answer, "contains").is_none_or(|part| request.text.contains(part))
                && text(answer, "tier").is_none_or(|tier| request.tier.as_str() == tier)
                && text(answer, "prompt").is_none_or(|name| request.prompt.name == name)
        });
        let Some(answer) = found else {
            return Err(ModelError::Failed("the scenario has no answer".to_owned()));
        };
        match text(answer, "error") {
            Some("overflow") => return Err(ModelError::Overflow { waited_ms: 5000 }),
            Some("timeout") => return Err(ModelError::Timeout { within_ms: 30_000 }),
            Some("unavailable") => {
                return Err(ModelError::Unavailable { reason: "no file".to_owned() });
            }
            Some(other) => return Err(ModelError::Failed(other.to_owned())),
            None => {}
        }
        let label = text(answer, "label").expect("an answer has a label or an error");
        let labels: Vec<&str> = request.labels.iter().map(|label| label.name.as_str()).collect();
        let is_told = answer.contains_key("undeclared") || labels.contains(&label);
        assert!(is_told, "{label:?} is not one of {labels:?}");
        let p = answer.get("p").map_or(0.9, |p| p.as_float().unwrap());
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let p = p as f32;
        #[expect(clippy::cast_precision_loss, reason = "a handful of labels")]
        let rest = (1.0 - p) / (labels.len().max(2) - 1) as f32;
        let mut scores: Vec<(String, f32)> = labels
            .iter()
            .map(|name| ((*name).to_owned(), if *name == label { p } else { rest }))
            .collect();
        if !labels.contains(&label) {
            scores.push((label.to_owned(), p));
        }
        Ok(Classification {
            best: label.to_owned(),
            abstained: p < request.threshold,
            scores,
            usage: Usage { tokens: 10, ..Usage::default() },
        })
    }

    async fn complete(&self, _: CompleteRequest) -> Result<Completion, ModelError> {
        Err(ModelError::Failed("the scenario has no answer".to_owned()))
    }

    fn summary(&self) -> String {
        "scripted".to_owned()
    }
}

/// The node as recipes see it: `[cockpit]` has one JSON text for each route.
pub(super) struct ScriptedCockpit {
    routes: toml::Table,
}

impl ScriptedCockpit {
    pub(super) fn new(routes: &toml::Table) -> Self {
        Self { routes: routes.clone() }
    }
}

#[async_trait]
impl Cockpit for ScriptedCockpit {
    async fn get(&self, route: &str, _: &str) -> Result<String, HostError> {
        match text(&self.routes, route) {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(HostError::Failed("no node is connected".to_owned())),
        }
    }
}

/// Answers by `kind` (`skill`, `mail`, `wake`) and `skill`, in order; an entry
/// with `times = N` is used up after so many. What no entry is for succeeds.
pub(super) struct ScriptedNode {
    answers: Mutex<Vec<(toml::Table, i64)>>,
}

impl ScriptedNode {
    pub(super) fn new(answers: &[toml::Table]) -> Self {
        let answers = answers.iter().map(|one| {
            (one.clone(), one.get("times").map_or(i64::MAX, |n| n.as_integer().unwrap()))
        });
        Self { answers: Mutex::new(answers.collect()) }
    }

    fn next(&self, kind: &str, skill: &str) -> Option<toml::Table> {
        let mut answers = self.answers.lock().unwrap();
        let found = answers.iter_mut().find(|(one, left)| {
            *left > 0
                && text(one, "kind").unwrap_or("skill") == kind
                && text(one, "skill").is_none_or(|name| name == skill)
        })?;
        found.1 -= 1;
        Some(found.0.clone())
    }

    fn answer(&self, kind: &str, skill: &str) -> Attempt {
        let Some(entry) = self.next(kind, skill) else {
            return Attempt::Done { detail: "done".to_owned(), answer: None };
        };
        let why = text(&entry, "why").unwrap_or("the node says so").to_owned();
        let answer = text(&entry, "output").map(|output| SkillAnswer {
            status: text(&entry, "status").unwrap_or("ok").to_owned(),
            output: output.to_owned(),
        });
        match text(&entry, "attempt").unwrap_or("done") {
            "done" => Attempt::Done { detail: "done".to_owned(), answer },
            "refused" => Attempt::Refused { why, answer },
            "not_sent" => Attempt::NotSent { why },
            "uncertain" => Attempt::Uncertain { why },
            other => panic!("a node cannot answer {other:?}"),
        }
    }
}

impl Node for ScriptedNode {
    fn wake(&self, _: &str, _: WakeCall<'_>) -> Attempt {
        self.answer("wake", "")
    }

    fn mail(&self, _: &str, _: MailCall<'_>) -> Attempt {
        self.answer("mail", "")
    }

    fn skill(&self, _: &str, skill: &str, _: &str) -> Attempt {
        self.answer("skill", skill)
    }
}
