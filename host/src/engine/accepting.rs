//! Taking events in: who may bring what, the host's stamps, and room before
//! anything is stored. What is accepted is durable and stands in its lane.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::questions::Asker;
use super::room::{Full, Wanted};
use super::waiting::Waiting;
use super::{Engine, EngineRules, Shared, guarded, lock, matched, tier_of};
use crate::breakers::Standing;
use crate::clock::TimestampMs;
use crate::config::Source;
use crate::envelope::json::Draft;
use crate::envelope::sender::{self, Tier};
use crate::envelope::{Envelope, Field, HOST_TRIGGERS, log_line, sender_field};
use crate::fault_points::FaultPoint;
use crate::ids::{Digest, nearest};
use crate::log_tail::Place;
use crate::pipeline::guard;
use crate::recipes::TriggerSpec;
use crate::recipes::registry::Registry;
use crate::store::{Accepted, Incoming, StoreError};

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("source {source_name:?} may not bring {trigger:?} events{hint}")]
    NotAllowed { source_name: String, trigger: String, hint: String },
    #[error(transparent)]
    Full(#[from] Full),
    #[error("thrall is switched off (enabled = false in thrall.toml)")]
    Disabled,
    #[error("thrall is being stopped: try again when it is back")]
    Closing,
    #[error("the event cannot be stored")]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// [`SubmitError::NotAllowed`], for scripts.
    pub const NOT_ALLOWED: &'static str = "trigger_not_allowed";
}

impl Engine {
    /// Takes events in: stamps, matches, stores, queues. Returns when they are
    /// durable, not when they are decided.
    ///
    /// # Errors
    /// See [`SubmitError`]; either all events are taken or none.
    pub async fn submit(
        &self,
        source: &Source,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Accepted>, SubmitError> {
        self.submit_for(source, drafts, None, None).await
    }

    /// As [`Engine::submit`], for lines of a log: the place behind them is kept
    /// with them or not at all.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_lines(
        &self,
        source: &Source,
        lines: Vec<Draft>,
        path: &str,
        place: Place,
    ) -> Result<Vec<Accepted>, SubmitError> {
        self.submit_for(source, lines, None, Some((path.to_owned(), place))).await
    }

    /// As [`Engine::submit`]; `asker` is told the answer to the first event.
    pub(super) async fn submit_for(
        &self,
        source: &Source,
        drafts: Vec<Draft>,
        asker: Option<Asker>,
        log: Option<(String, Place)>,
    ) -> Result<Vec<Accepted>, SubmitError> {
        let shared = &self.shared;
        if !shared.rules.load().enabled {
            return Err(SubmitError::Disabled);
        }
        if shared.closing.load(Ordering::Acquire) {
            return Err(SubmitError::Closing);
        }
        if let Some(error) = drafts.iter().find_map(|draft| not_allowed(source, &draft.trigger)) {
            return Err(error);
        }
        let now = shared.clock.now();
        let registry = shared.registry.load_full();
        let rules = shared.rules.load_full();
        let mut incoming: Vec<Incoming> = {
            let breakers = shared.breakers.standing();
            let stamped = |draft| stamp(&registry, &rules, &breakers, source, draft, now);
            drafts.into_iter().map(stamped).collect()
        };
        let wanted = wanted(source, &rules, &incoming);
        lock(&shared.lanes).promise(&wanted)?;
        if asker.is_some() {
            // The same question again is asked again.
            incoming.iter_mut().for_each(|one| one.dedupe_id = None);
        }
        // By itself: who hangs up now must not leave an event that is stored
        // and stands in no lane.
        let shared = Arc::clone(shared);
        let taken = tokio::spawn(async move {
            let taken = shared.take_in(incoming, asker, log, now).await;
            lock(&shared.lanes).end_promise(&wanted);
            taken
        });
        taken.await.unwrap_or(Err(SubmitError::Closing))
    }
}

impl Shared {
    async fn take_in(
        &self,
        incoming: Vec<Incoming>,
        mut asker: Option<Asker>,
        log: Option<(String, Place)>,
        now: TimestampMs,
    ) -> Result<Vec<Accepted>, SubmitError> {
        let accepted = match log {
            None => self.store.accept(incoming.clone()).await?,
            Some((path, place)) => {
                self.store.accept_lines(incoming.clone(), path, place, now).await?
            }
        };
        (self.faults)(FaultPoint::Accepted);
        let registry = self.registry.load();
        {
            let mut lanes = lock(&self.lanes);
            for (outcome, one) in accepted.iter().zip(incoming) {
                if let Accepted::New { seq, .. } = outcome
                    && !one.matched.is_empty()
                {
                    let asker = asker.take();
                    let waiting = Waiting { asker, ..Waiting::new(*seq, one.matched) };
                    self.enqueue(&mut lanes, &registry, waiting, one.envelope);
                }
            }
        }
        if let Some(asker) = asker {
            asker.answer();
        }
        self.work.notify_one();
        Ok(accepted)
    }
}

/// The room that events need which somebody wants to see. What recipes trigger
/// on them waits in a lane of its own: who brings more of what fills it has to
/// wait for it too.
fn wanted(source: &Source, rules: &EngineRules, incoming: &[Incoming]) -> Wanted {
    let mut wanted = Wanted {
        source: source.name.as_str().into(),
        events: 0,
        lanes: HashMap::new(),
        of_strangers: false,
    };
    for Incoming { envelope, matched, .. } in incoming {
        if matched.is_empty() {
            continue;
        }
        wanted.events += 1;
        *wanted.lanes.entry(envelope.lane()).or_default() += 1;
        wanted.lanes.entry(envelope.children_lane()).or_insert(1);
        wanted.of_strangers |= is_of_a_stranger(rules, envelope);
    }
    wanted
}

/// What comes from outside, of nobody that the operator lists as known. The
/// host's own events and questions have no stranger as their sender.
fn is_of_a_stranger(rules: &EngineRules, envelope: &Envelope) -> bool {
    let is_own = HOST_TRIGGERS.contains(&envelope.trigger.as_str())
        || envelope.source == log_line::SOURCE
        || envelope.is_question();
    !is_own && !matches!(tier_of(rules, envelope), Tier::Team | Tier::Known)
}

/// Why a source may not bring an event of this trigger, if so.
pub fn not_allowed(source: &Source, trigger: &str) -> Option<SubmitError> {
    if may_bring(source, trigger) {
        return None;
    }
    let valid = TriggerSpec::KINDS.into_iter().filter(|kind| may_bring(source, kind));
    // A word that there is was not mistyped.
    let near = nearest(trigger, valid).filter(|_| !TriggerSpec::KINDS.contains(&trigger));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    let (source_name, trigger) = (source.name.clone(), trigger.to_owned());
    Some(SubmitError::NotAllowed { source_name, trigger, hint })
}

/// Exactly the words that are declared. Without any: those that a recipe can
/// wait for and that are not the host's; another spelling is another word.
fn may_bring(source: &Source, trigger: &str) -> bool {
    if source.triggers.is_empty() {
        TriggerSpec::KINDS.contains(&trigger) && !HOST_TRIGGERS.contains(&trigger)
    } else {
        source.triggers.iter().any(|allowed| allowed == trigger)
    }
}

/// Puts the host's stamps on a draft. Fields that only the host may set are
/// taken out, whoever sent them.
fn stamp(
    registry: &Registry,
    rules: &EngineRules,
    breakers: &Standing,
    source: &Source,
    draft: Draft,
    now: TimestampMs,
) -> Incoming {
    let id = draft.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut fields = draft.fields;
    fields.retain(|field| !field.name.to_ascii_lowercase().starts_with("host."));
    if !source.may_assert_sender {
        disown_sender(&source.name, &draft.trigger, &mut fields);
    }
    let envelope = Envelope {
        id,
        trigger: draft.trigger,
        source: source.name.clone(),
        parent: None,
        depth: 0,
        received_at: now,
        root: None,
        lineage: Vec::new(),
        fields,
    };
    let mut matched = matched(registry, &envelope);
    // What the guard stops gets a row of its own, under no recipe: mail and
    // questions always, the rest where a recipe wanted to see it.
    let is_told = envelope.trigger == "on_mail" || envelope.is_question() || !matched.is_empty();
    if is_told && guard::check(&rules.guard, breakers, &envelope, now).is_some() {
        matched = guarded();
    }
    Incoming { envelope, dedupe_id: draft.id, matched }
}

/// A source that may not assert senders must not spend the rate limit or the
/// reputation of a node that it only names: such a sender gets an id of its
/// own, the same each time, that no node has.
fn disown_sender(source: &str, trigger: &str, fields: &mut [Field]) {
    let named = [sender_field(trigger), "from_node"];
    for field in fields
        .iter_mut()
        .filter(|field| named.contains(&field.name.as_str()) && sender::is_node_id(&field.value))
    {
        field.value = Digest::of_parts(&[b"unvouched", source.as_bytes(), field.value.as_bytes()])
            .to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lanes::Lanes;
    use crate::engine::room::Bounds;
    use crate::engine::waiting;
    use crate::engine::{LIVE_SEATING, descent};
    use crate::envelope::SKILL_REQUEST;

    #[test]
    fn nobody_speaks_for_a_caller_whom_he_only_names() {
        let node = "ab".repeat(32);
        let mut fields = vec![Field::new("caller_node", &node), Field::new("to_node", &node)];
        disown_sender("agent", SKILL_REQUEST, &mut fields);
        assert!(fields[0].value != node && sender::is_node_id(&fields[0].value));
        assert_eq!(fields[1].value, node);
    }

    #[test]
    fn sources_bring_what_they_declare_and_nobody_brings_what_the_host_makes() {
        let source = |triggers: &[&str]| Source {
            name: "bridge".to_owned(),
            triggers: triggers.iter().map(|one| (*one).to_owned()).collect(),
            may_assert_sender: false,
        };
        let operators = source(&[]);
        for trigger in ["on_mail", "on_event", "on_bus", "on_log"] {
            assert!(may_bring(&operators, trigger), "{trigger}");
        }
        for trigger in HOST_TRIGGERS.into_iter().chain(["on_bsu", ""]) {
            assert!(!may_bring(&operators, trigger), "{trigger}");
        }
        let said = |trigger| not_allowed(&operators, trigger).unwrap().to_string();
        assert!(said("on_mial").ends_with("did you mean \"on_mail\"?"), "{}", said("on_mial"));
        assert!(said("on_tick").ends_with("\"on_tick\" events"), "{}", said("on_tick"));
        let bus = source(&["on_bus"]);
        assert!(may_bring(&bus, "on_bus") && !may_bring(&bus, "on_log"));
    }

    #[test]
    fn who_brings_what_triggers_more_than_is_worked_off_has_to_wait() {
        let mail = |from: char| Envelope {
            source: "mailbox".to_owned(),
            fields: vec![Field::new("from_node", from.to_string().repeat(64))],
            ..Envelope::blank()
        };
        let flood = mail('a');
        let mailbox =
            Source { name: "mailbox".to_owned(), triggers: Vec::new(), may_assert_sender: true };
        let mut lanes = Lanes::new(Bounds { per_lane: 2, in_all: 1000 }, LIVE_SEATING);
        let has_room = |lanes: &mut Lanes<()>, envelope: &Envelope| {
            let matched = vec![("r".to_owned(), Digest::ZERO)];
            let one = Incoming { envelope: envelope.clone(), dedupe_id: None, matched };
            let wanted = wanted(&mailbox, &EngineRules::default(), &[one]);
            let promised = lanes.promise(&wanted);
            if promised.is_ok() {
                lanes.end_promise(&wanted);
            }
            promised.is_ok()
        };
        for _ in 0..2 {
            assert!(has_room(&mut lanes, &flood));
            let child = descent::child(&flood, 1, "r", String::new(), "next", &[], TimestampMs(0));
            let place = waiting::place(&Registry::default(), &child, &[]);
            lanes.push(&child.lane(), place, (), std::time::Instant::now());
        }
        assert!(!has_room(&mut lanes, &flood));
        assert!(has_room(&mut lanes, &mail('b')), "others do not wait for it");
    }
}
