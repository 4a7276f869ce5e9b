//! Returns 33 operations, one more than a plan may have.

use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict};

struct Guest;

impl Action for Guest {
    fn plan(_: &Envelope, _: &Situation, _: &Verdict) -> Result<Vec<Operation>, String> {
        Ok((1..=33).map(|number| Operation::Log(format!("operation {number}"))).collect())
    }
}

thrall_sdk::export_action!(Guest);
