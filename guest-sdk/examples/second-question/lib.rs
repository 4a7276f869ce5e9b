//! An action that remembers: the first message of a session gets a receipt, the
//! second one within a day wakes the agent.

use thrall_sdk::operations::{ContextOp, ReplyOp, WakeMode, WakeOp};
use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict};

const DAY_S: u64 = 24 * 60 * 60;

pub struct SecondQuestion;

impl Action for SecondQuestion {
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        // The rows of the event's own session are arguments: no import needed.
        if situation.context("asked").is_some() {
            return Ok(vec![Operation::Wake(WakeOp {
                mode: WakeMode::Respond,
                // The words of [actions.answer] task; a component brings none.
                template: "answer".into(),
                data: envelope.fields.clone(),
                capability: String::new(),
                priority: 5,
            })]);
        }
        let Some(session) = envelope.field("session_id") else {
            return Ok(vec![Operation::Log(verdict.reason.clone())]);
        };
        Ok(vec![
            Operation::Reply(ReplyOp { body: "Received. Write again if it is urgent.".into() }),
            Operation::SetContext(ContextOp {
                session: session.into(),
                key: "asked".into(),
                value: Some("yes".into()),
                expires_in_s: Some(DAY_S),
            }),
        ])
    }
}

thrall_sdk::export_action!(SecondQuestion);

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;

    use super::*;

    fn kinds(context: Vec<Field>) -> Vec<&'static str> {
        let fields = vec![Field::new("session_id", "s1"), Field::new("body_text", "hello?")];
        let envelope = Envelope { fields, ..Envelope::default() };
        let situation = Situation { context, ..Situation::default() };
        let verdict = Verdict::new("answer", "a question");
        let plan = SecondQuestion::plan(&envelope, &situation, &verdict).unwrap();
        let kind = |operation: &Operation| match operation {
            Operation::Reply(_) => "reply",
            Operation::SetContext(_) => "set-context",
            Operation::Wake(_) => "wake",
            _ => "other",
        };
        plan.iter().map(kind).collect()
    }

    #[test]
    fn the_first_is_acknowledged_and_the_second_wakes() {
        assert_eq!(kinds(Vec::new()), ["reply", "set-context"]);
        assert_eq!(kinds(vec![Field::new("asked", "yes")]), ["wake"]);
    }
}
