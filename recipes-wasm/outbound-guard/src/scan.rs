//! All finders over one text, and their findings in order, without overlaps.

use crate::kind::Finding;
use crate::policy::Config;
use crate::text::Text;
use crate::{mnemonic, personal, phone, secrets};

/// What stands in a text and is not the operator's own to give away.
pub(crate) fn scan(text: &str, config: &Config) -> Vec<Finding> {
    let view = Text::new(text);
    let mut found = Vec::new();
    secrets::find(view, &mut found);
    mnemonic::find(view, &mut found);
    personal::find(view, &mut found);
    phone::find(view, &mut found);
    found.retain(|one| !config.allows(one.kind, view.part(one.from, one.to)));
    found.sort_by_key(|one| (one.from, one.kind));
    let mut apart: Vec<Finding> = Vec::with_capacity(found.len());
    for one in found {
        match apart.last_mut() {
            // Of two that overlap the one that is taken more seriously stands for
            // all of it.
            Some(last) if one.from < last.to => {
                last.to = last.to.max(one.to);
                let (known, more) = (config.policy(last.kind), config.policy(one.kind));
                if more > known || (more == known && one.kind < last.kind) {
                    last.kind = one.kind;
                }
            }
            _ => apart.push(one),
        }
    }
    apart
}
