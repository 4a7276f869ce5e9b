//! Answers of skills become events: each once, with the recipe that waits for
//! it first, then those that want to see every answer.

use super::{Engine, Shared, matched};
use crate::envelope::{Envelope, result_event};
use crate::fault_points::FaultPoint;
use crate::ids::Digest;
use crate::journal::Child;
use crate::recipes::registry::Registry;
use crate::store::{Continuation, StoreError};

/// Answers that are taken at once.
const BATCH: u32 = 256;

impl Engine {
    /// Makes events of the answers that came, and of those that will not come
    /// any more. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written; what was not made is made the
    /// next time.
    pub async fn continue_due(&self) -> Result<usize, StoreError> {
        let shared = &self.shared;
        if !shared.rules.load().enabled {
            return Ok(0);
        }
        let now = shared.clock.now();
        let due = shared.store.reader().due_continuations(now, BATCH)?;
        let mut made = 0;
        for answer in due {
            let Some(child) = shared.event_of(&answer)? else { continue };
            let used = shared.store.use_continuation(answer.outbox_id, child.clone(), now).await?;
            (shared.faults)(FaultPoint::AnswerStored);
            if let Some(seq) = used {
                shared.queue(vec![seq], vec![child]);
                made += 1;
            }
        }
        Ok(made)
    }
}

impl Shared {
    fn event_of(&self, answer: &Continuation) -> Result<Option<Child>, StoreError> {
        let Some(stored) = self.store.reader().envelope(answer.envelope_seq)? else {
            return Ok(None);
        };
        let asked = stored.envelope;
        let answered = result_event::Answered {
            skill: &answer.skill,
            continue_as: &answer.continue_as,
            status: &answer.answer.status,
            output: &answer.answer.output,
        };
        let envelope = result_event::event(
            &asked,
            answer.envelope_seq,
            &answer.recipe,
            &answer.id,
            &answered,
            self.clock.now(),
        );
        let runs = runs(&self.registry.load(), answer, &envelope);
        Ok(Some(Child { matched: runs, envelope }))
    }
}

/// The recipe that waits runs in the revision that asked, as long as that is
/// loaded; the engine takes its present one otherwise.
fn runs(registry: &Registry, answer: &Continuation, envelope: &Envelope) -> Vec<(String, Digest)> {
    let others = matched(registry, envelope).into_iter().filter(|(name, _)| *name != answer.recipe);
    std::iter::once((answer.recipe.clone(), answer.revision)).chain(others).collect()
}
