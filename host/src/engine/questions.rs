//! Questions: an event for whose answer somebody waits. It goes the way of
//! every event, is answered when all that looked at it is written down, and is
//! blocked when that takes too long; that too is written down first.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Engine, SubmitError};
use crate::config::Source;
use crate::envelope::Envelope;
use crate::envelope::json::Draft;
use crate::ids::EnvelopeSeq;
use crate::pipeline::answer::{self, Answer};
use crate::recipes::TriggerSpec;

/// Somebody who waits, and what was said so far.
pub(super) struct Asker {
    pub(super) said: Vec<Answer>,
    reply: oneshot::Sender<Answer>,
}

impl Asker {
    /// Tells what was said. Who no longer listens was told something else.
    pub(super) fn answer(self) {
        let _ = self.reply.send(answer::combine(self.said));
    }
}

impl Engine {
    /// Brings a question in and waits for its answer, as long as the recipes
    /// that look at it allow. Every answer is durable before it is given.
    ///
    /// # Errors
    /// As [`Engine::submit`]; who asked must take that for a `block`.
    pub async fn ask(
        &self,
        source: &Source,
        draft: Draft,
    ) -> Result<(EnvelopeSeq, Answer), SubmitError> {
        let within = self.deadline_of(&draft);
        let silent = self.silent_guard(&draft);
        let (reply, answered) = oneshot::channel();
        let asker = Asker { said: Vec::new(), reply };
        let accepted = self.submit_for(source, vec![draft], Some(asker), None).await?;
        let seq = accepted.first().map_or(0, crate::store::Accepted::seq);
        // Not before the recipes that do run were told of it.
        if let Some(why) = silent {
            return Ok((seq, self.blocked(seq, &why).await?));
        }
        let answer = match tokio::time::timeout(within, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => self.blocked(seq, "it could not be decided").await?,
            Err(_) => {
                let why = format!("no answer within {} ms", within.as_millis());
                self.blocked(seq, &why).await?
            }
        };
        Ok((seq, answer))
    }

    /// The longest time that a recipe of this trigger wants.
    fn deadline_of(&self, draft: &Draft) -> Duration {
        let registry = self.shared.registry.load();
        registry
            .entries()
            .filter_map(|entry| entry.revision.as_ref())
            .filter(|revision| revision.recipe.trigger.kind == draft.trigger)
            .map(|revision| revision.recipe.trigger.deadline())
            .max()
            .unwrap_or(TriggerSpec::USUAL_DEADLINE)
    }

    /// Why a recipe that may answer such a question does not look at it.
    fn silent_guard(&self, draft: &Draft) -> Option<String> {
        let envelope = Envelope {
            trigger: draft.trigger.clone(),
            fields: draft.fields.clone(),
            ..Envelope::blank()
        };
        self.shared.registry.load().silent_guard(&envelope)
    }

    async fn blocked(&self, seq: EnvelopeSeq, why: &str) -> Result<Answer, SubmitError> {
        let answer = Answer::block(why);
        let at = self.shared.clock.now();
        self.shared.store.answered_by_host(seq, answer.clone(), at).await?;
        Ok(answer)
    }
}
