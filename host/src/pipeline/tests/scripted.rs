//! A world that does as it is told.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::breakers::Stopped;
use crate::clock::{TimestampMs, Window};
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, Field};
use crate::grants::{self, Authority};
use crate::ids::Digest;
use crate::journal::{CachedVerdict, Commit};
use crate::model::{ClassifyRequest, Prompt, PromptValues};
use crate::operation::Operation;
use crate::pipeline::ports::{
    Answers, Classifier, FactError, Facts, Gathered, Gatherer, ModelQuestion, Ports,
    PreparedQuestion, Scope,
};
use crate::pipeline::{self, RunInput};
use crate::recipes::registry::{Candidate, Revision};
use crate::recipes::{Known, Mode, manifest};
use crate::rehearsal::recorded::NoMeter;
use crate::sender_limits::SenderLimits;
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{
    ComponentId, GuestFault, HostAnswer, HostCalls, HostError, HostRequest, Sandbox, StageLimits,
    StageOutcome, Usage,
};
use crate::verdict::{FilterAnswer, Situation, Verdict};

pub(super) const NOW: TimestampMs = TimestampMs(1_772_271_101_000);
pub(super) const SILENCE_THRESHOLD: f32 = 0.5;
pub(super) const NODE: &str = "aabbccddeeff0011aabbccddeeff0011aabbccddeeff0011aabbccddeeff0011";

/// Prompts that every world has: two that tell drop from the rest, one for the
/// question after that.
const PROMPTS: [(&str, &str); 3] = [
    ("l1", "Cheap. {{filter.tier}}\nIs it noise? {{envelope.body_text}}"),
    (
        "l1-kinds",
        "name = \"l1-kinds\"\ncontent = \"{{filter.tier}}\\n{{envelope.body_text}}\"\n\
         [[kinds]]\nname = \"noise\"\naction = \"drop\"\n[[kinds]]\nname = \"alarm\"\naction = \"wake\"\n",
    ),
    ("main", "{{filter.tier}}\n[{{cascade.action}}|{{cascade.reason}}] {{envelope.body_text}}"),
];

type Said = Result<(&'static str, f32), HostError>;

/// Answers each prompt from its own list, in order.
#[derive(Default)]
pub(super) struct Model {
    answers: Mutex<BTreeMap<&'static str, VecDeque<Said>>>,
    /// Prompt and user turn of every question that was put.
    pub(super) asked: Mutex<Vec<(String, String)>>,
}

fn prompt(name: &str) -> Option<Prompt> {
    let (_, text) = PROMPTS.iter().find(|(own, _)| *own == name)?;
    let read = if text.starts_with("name = ") {
        Prompt::from_toml(text)
    } else {
        Prompt::from_text(name, text)
    };
    Some(read.unwrap())
}

#[async_trait]
impl Classifier for Model {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        let missing = || HostError::Failed(format!("no prompt named {}", question.asking.prompt));
        let prompt = Arc::new(prompt(question.asking.prompt).ok_or_else(missing)?);
        let labels = prompt
            .labels_or_actions(question.declared)
            .map_err(|error| HostError::Invalid(error.to_string()))?;
        let values: PromptValues = question
            .cascade
            .iter()
            .map(|field| (field.name.as_str(), field.value.as_str()))
            .collect();
        let body = question.envelope.text("body_text").to_owned();
        let text = prompt.render(question.tier, &values, &body, Some(&labels)).user_text();
        let action = |label: &str| {
            let own = question.asking.kinds.get(label).map(String::as_str);
            own.or_else(|| prompt.action_of(label)).unwrap_or(label).to_owned()
        };
        let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
        Ok(PreparedQuestion {
            model: question.asking.model.unwrap_or("usual").to_owned(),
            prompt_hash: prompt.hash.clone(),
            actions: names.iter().map(|name| ((*name).to_owned(), action(name))).collect(),
            silence_threshold: SILENCE_THRESHOLD,
            input_digest: Digest::of_parts(&[prompt.hash.as_bytes(), text.as_bytes()]),
            request: HostRequest::ModelClassify {
                prompt: prompt.name.clone(),
                label_set: names.join(","),
                text,
            },
            rendered: Arc::new(ClassifyRequest {
                tier: question.tier,
                values,
                text: body,
                labels: Arc::clone(&labels),
                threshold: 0.0,
                within: Duration::from_secs(1),
                prompt,
            }),
        })
    }

    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        let HostRequest::ModelClassify { prompt, text, .. } = &question.request else { panic!() };
        self.asked.lock().unwrap().push((prompt.clone(), text.clone()));
        let said =
            self.answers.lock().unwrap().get_mut(prompt.as_str()).and_then(VecDeque::pop_front);
        let (best, score) = said.unwrap_or_else(|| panic!("{prompt} was asked unexpectedly"))?;
        let best = best.to_owned();
        Ok(HostAnswer::Classification {
            scores: vec![(best.clone(), score)],
            best,
            abstained: false,
            tokens: 1,
        })
    }
}

/// Every evaluator says the same; actions plan nothing.
#[derive(Default)]
pub(super) struct Guests(Option<Verdict>);

fn outcome<T>(answer: T) -> StageOutcome<T> {
    let answer: Result<T, GuestFault> = Ok(answer);
    StageOutcome { answer, usage: Usage::default(), logs: Vec::new() }
}

#[async_trait]
impl Sandbox for Guests {
    async fn filter(
        &self,
        _: ComponentId,
        _: &Envelope,
        _: &Situation,
        _: StageLimits,
        _: Arc<dyn HostCalls>,
    ) -> StageOutcome<FilterAnswer> {
        outcome(FilterAnswer::Pass)
    }

    async fn hotwire(
        &self,
        _: ComponentId,
        _: &Envelope,
        _: &Situation,
        _: StageLimits,
        _: Arc<dyn HostCalls>,
    ) -> StageOutcome<Option<Verdict>> {
        outcome(self.0.clone())
    }

    async fn action(
        &self,
        _: ComponentId,
        _: &Envelope,
        _: &Situation,
        _: &Verdict,
        _: StageLimits,
        _: Arc<dyn HostCalls>,
    ) -> StageOutcome<Vec<Operation>> {
        outcome(Vec::new())
    }
}

/// What the host is asked besides the model.
#[async_trait]
pub(super) trait World: Send + Sync {
    async fn answer(&self, request: &HostRequest) -> Result<HostAnswer, HostError>;
}

pub(super) struct Nothing;

#[async_trait]
impl World for Nothing {
    async fn answer(&self, request: &HostRequest) -> Result<HostAnswer, HostError> {
        panic!("{request:?} was asked unexpectedly")
    }
}

/// Keeps what was asked of a [`World`].
struct Asked {
    world: Arc<dyn World>,
    requests: Arc<Mutex<Vec<HostRequest>>>,
}

#[async_trait]
impl Answers for Asked {
    async fn answer(&self, _: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        self.requests.lock().unwrap().push(request.clone());
        self.world.answer(request).await
    }

    fn model_of(&self, _: &HostRequest) -> Option<String> {
        None
    }

    fn prompt_hash_of(&self, _: &HostRequest) -> Option<String> {
        None
    }
}

/// One file, whatever is asked for.
struct OneFile;

#[async_trait]
impl Gatherer for OneFile {
    async fn read(&self, path: &str, _: usize) -> Result<Gathered, String> {
        Ok(Gathered { text: format!("content of {path}"), truncated: false, replaced: false })
    }
}

/// Verdicts that were kept; nothing else ever happened.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, CachedVerdict>>);

impl Facts for Memory {
    fn cooldown_last(&self, _: &str, _: &str) -> Result<Option<TimestampMs>, FactError> {
        Ok(None)
    }

    fn rate_count(&self, _: &str, _: &str, _: Window, _: u32) -> Result<u32, FactError> {
        Ok(0)
    }

    fn operation_count(&self, _: &str, _: &str, _: Window, _: u32) -> Result<u32, FactError> {
        Ok(0)
    }

    fn sender_history(
        &self,
        _: &str,
        _: &str,
        _: i64,
        _: TimestampMs,
    ) -> Result<SenderHistory, FactError> {
        Ok(SenderHistory::default())
    }

    fn cached(&self, key: &Digest, _: TimestampMs) -> Result<Option<CachedVerdict>, FactError> {
        Ok(self.0.lock().unwrap().get(&key.to_string()).cloned())
    }

    fn context(
        &self,
        _: &str,
        _: Option<&str>,
        _: &str,
        _: TimestampMs,
    ) -> Result<Vec<Field>, FactError> {
        Ok(Vec::new())
    }

    fn descendants(&self, _: i64) -> Result<u32, FactError> {
        Ok(0)
    }

    fn breaker(
        &self,
        _: &[Cow<'static, str>],
        _: TimestampMs,
    ) -> Result<Option<Stopped>, FactError> {
        Ok(None)
    }
}

/// One recipe in one world.
pub(super) struct Play {
    ports: Ports,
    revision: Revision,
    memory: Arc<Memory>,
    pub(super) model: Arc<Model>,
    pub(super) requests: Arc<Mutex<Vec<HostRequest>>>,
}

/// A grant for all that these tests ask.
pub(super) const GRANT: &str = "mode = \"automated\"\n\
    imports = [\"model\", \"cockpit-read\", \"journal-read\", \"context-read\"]\n[reads]\n\
    model = { prompts = [\"*\"], models = [\"*\"] }\ncockpit = { routes = [\"*\"] }\n\
    gather = { files = [\"/log\"] }\n";

impl Play {
    /// `verdict` is what hotwires say.
    pub(super) fn new(
        recipe: &str,
        grant: &str,
        verdict: Option<Verdict>,
        world: Arc<dyn World>,
    ) -> Self {
        let known = Known {
            prompts: PROMPTS
                .iter()
                .map(|(name, _)| ((*name).to_owned(), BTreeMap::new()))
                .collect(),
            models_on_disk: BTreeSet::from(["small".to_owned(), "large".to_owned()]),
            ..Known::default()
        };
        let recipe = manifest::parse("x", recipe, &known).unwrap_or_else(|all| panic!("{all:#?}"));
        let grant = grants::parse("x", grant).unwrap_or_else(|all| panic!("{all:#?}"));
        let components = recipe
            .stages()
            .iter()
            .map(|(_, _, stage)| (stage.component.clone(), ComponentId(Digest::ZERO)))
            .collect();
        let candidate = Candidate {
            recipe: Arc::new(recipe),
            components,
            needs: Arc::new([]),
            source: Arc::from(""),
        };
        let model = Arc::new(Model::default());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::new(Memory::default());
        let ports = Ports {
            sandbox: Arc::new(Guests(verdict)),
            facts: Arc::clone(&memory) as _,
            answers: Arc::new(Asked { world, requests: Arc::clone(&requests) }),
            classifier: Arc::clone(&model) as _,
            meter: Arc::new(NoMeter),
            circuits: Arc::default(),
            gatherer: Arc::new(OneFile),
            engine: Arc::from("test"),
        };
        let revision = Revision::new(candidate, Arc::new(grant), Mode::Automated);
        Self { ports, revision, memory, model, requests }
    }

    /// What the model says to a prompt the next time.
    pub(super) fn says(&self, prompt: &'static str, answer: Said) {
        self.model.answers.lock().unwrap().entry(prompt).or_default().push_back(answer);
    }

    pub(super) async fn event(&self, tier: Tier, fields: Vec<Field>) -> Commit {
        let envelope = Envelope {
            id: "e".to_owned(),
            trigger: "on_mail".to_owned(),
            source: "mailbox".to_owned(),
            fields,
            ..Envelope::blank()
        };
        let authority = Authority::new(Arc::clone(&self.revision.grant), Vec::new());
        let input = RunInput {
            seq: 1,
            envelope: &envelope,
            revision: &self.revision,
            authority: &authority,
            tier,
            now: NOW,
            answered: false,
            switches: pipeline::Switches::default(),
            limits: &SenderLimits::default(),
        };
        let commit = pipeline::run(&self.ports, input).await.unwrap();
        if let Some(entry) = &commit.cache {
            self.memory.0.lock().unwrap().insert(entry.key.to_string(), entry.value.clone());
        }
        commit
    }

    pub(super) async fn mail(&self, tier: Tier, from: &str, body: &str) -> Commit {
        let fields = vec![
            Field::new("body_text", body),
            Field::new("from_node", from),
            Field::new("session_id", "s"),
        ];
        self.event(tier, fields).await
    }
}
