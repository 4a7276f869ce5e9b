//! Where the words of a reply came from: a template of the recipe's own file,
//! filled with nothing but this event's own fields; what the model wrote in this run; or anywhere. The
//! host fills the templates itself, so a component is not taken at its word.

use thrall_sdk as sdk;

use super::RunInput;
use super::record::RunRecord;
use crate::envelope::Field;
use crate::envelope::sender::Tier;
use crate::grants::ReplyBody;
use crate::recipes::ActionSpec;
use crate::verdict::Verdict;

/// Says where a reply's text is from.
pub(super) fn origin(
    input: RunInput<'_>,
    run: &RunRecord,
    verdict: &Verdict,
    body: &str,
) -> ReplyBody {
    if is_template(input, run, verdict, body) {
        ReplyBody::Template
    } else if run.gate().completions().iter().any(|text| text == body) {
        ReplyBody::Model
    } else {
        ReplyBody::Any
    }
}

fn is_template(input: RunInput<'_>, run: &RunRecord, verdict: &Verdict, body: &str) -> bool {
    let envelope = sdk::Envelope {
        id: input.envelope.id.clone(),
        trigger: input.envelope.trigger.clone(),
        source: input.envelope.source.clone(),
        parent: input.envelope.parent.clone(),
        depth: input.envelope.depth,
        received_at: input.envelope.received_at.0,
        fields: fields(&input.envelope.fields),
    };
    let situation = sdk::Situation {
        tier: match input.tier {
            Tier::Team => sdk::Tier::Team,
            Tier::Known => sdk::Tier::Known,
            Tier::Unknown => sdk::Tier::Unknown,
            Tier::Blocked => sdk::Tier::Blocked,
        },
        context: fields(&run.inputs.context),
        gathered: fields(&run.gathered),
        ..sdk::Situation::default()
    };
    let verdict = sdk::Verdict {
        action: verdict.action.clone(),
        reason: verdict.reason.clone(),
        confidence: verdict.confidence,
        fields: fields(&verdict.fields),
    };
    let scope = sdk::Scope::new(&envelope, &situation).with_verdict(&verdict);
    input
        .revision
        .recipe
        .actions
        .values()
        .flat_map(ActionSpec::declared_steps)
        .filter_map(|step| step.get("template")?.as_str().map(str::to_owned))
        // What others fill in is free text, whoever wrote the words around it.
        .filter(|template| ActionSpec::is_plain_template(template))
        .any(|template| scope.render(&template).is_ok_and(|filled| filled == body))
}

fn fields(fields: &[Field]) -> Vec<sdk::Field> {
    fields.iter().map(|field| sdk::Field::new(field.name.as_str(), field.value.as_str())).collect()
}
