//! Warnings about grants that let out what they let in: free text that leaves
//! the node, beside reads that are wider than the event and the recipe's own.

use super::{ANY, ContextScope, JournalScope, Permissions, ReplyBody};

/// One sentence for each way out, empty where nothing wide is read.
pub fn warnings(recipe: &str, permissions: &Permissions) -> Vec<String> {
    let reads = wide_reads(permissions);
    if reads.is_empty() {
        return Vec::new();
    }
    ways_out(permissions)
        .into_iter()
        .map(|way| format!("LEAK grants/{recipe}.toml: {way}, beside {}", reads.join(", ")))
        .collect()
}

fn wide_reads(permissions: &Permissions) -> Vec<String> {
    let reads = &permissions.reads;
    let has = |interface: &str| permissions.imports.contains(interface);
    let mut wide = Vec::new();
    if has("journal-read") && reads.journal != JournalScope::Own {
        wide.push(format!("journal rows of scope {}", reads.journal.as_str()));
    }
    if has("context-read") && reads.context != ContextScope::Session {
        wide.push("context of all sessions".to_owned());
    }
    if has("cockpit-read") && !reads.cockpit.is_empty() {
        wide.push("the node's cockpit".to_owned());
    }
    wide.extend(permissions.shared.iter().map(|what| format!("shared {what}")));
    wide.extend(reads.gather.iter().map(|file| format!("the file {file}")));
    wide
}

fn ways_out(permissions: &Permissions) -> Vec<String> {
    let operations = &permissions.operations;
    let mut ways = Vec::new();
    if operations.reply.as_ref().is_some_and(|reply| reply.body != ReplyBody::Template) {
        ways.push("replies may hold free text".to_owned());
    }
    if operations.mail.as_ref().is_some_and(|mail| !mail.nodes.is_empty()) {
        ways.push("mail may hold free text".to_owned());
    }
    for (name, bounds) in &operations.skill {
        if bounds.input.values().any(|values| values.contains(ANY)) {
            ways.push(format!("the input of skill {name} may hold free text"));
        }
    }
    ways
}
