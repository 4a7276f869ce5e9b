//! A hotwire that looks at mail before it leaves the node.
//!
//! It finds secrets (private keys, cloud keys, tokens, labelled secrets, seed
//! phrases) and personal data (mail addresses, phone numbers, bank accounts,
//! payment cards), and answers `pass`, `redact` or `block`. A redaction carries
//! the text that may go out as `verdict.body`:
//!
//! ```toml
//! [trigger]
//! type = "on_mail_send"
//!
//! [evaluate]
//! component = "outbound-guard.wasm"
//!
//! [actions.redact]
//! type = "answer"
//! code = "redact"
//! template = "{{verdict.body}}"
//!
//! [config]                             # what is left out is as here
//! private_key = "block"                # each kind: pass, redact or block
//! email = "redact"
//! allow = ["me@example.org", "@example.org", "+49 30 1234567"]
//! ```
//!
//! It guards against accidents: an agent that pastes its environment, a log
//! with a token in it. Who wants to smuggle something out can always spell it in
//! another way. What it found is said by kind and number, never by value.
//!
//! No regular expressions: each finder is one pass over the text, and a mail of
//! 64 KiB takes a fraction of the fuel (see `recipes-wasm/patterns` for what
//! engines cost). The finders are in `secrets.rs`, `mnemonic.rs`, `personal.rs`
//! and `phone.rs`, what they share in `text.rs`, what becomes of a finding in
//! `policy.rs`, and the replacing in `redact.rs`.

mod kind;
mod mnemonic;
mod personal;
mod phone;
mod policy;
mod redact;
mod scan;
mod secrets;
mod text;

#[cfg(test)]
mod tests;

use thrall_sdk::{Envelope, Field, Hotwire, Situation, Verdict, config};

use crate::kind::Counts;
use crate::policy::{Config, Policy};
use crate::redact::redact;
use crate::scan::scan;

/// What says where a mail goes and belongs to, not what it says.
const ADDRESSING: [&str; 6] =
    ["from_node", "to_node", "session_id", "msg_type", "message_id", "reply_to"];

/// What the answer may hold in all is as much as an event; some room is left
/// for the rest of it.
const MOST_BODY_BYTES: usize = 60 * 1024;

/// The type that the macro below turns into a component.
#[derive(Debug)]
pub struct OutboundGuard;

impl Hotwire for OutboundGuard {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let config: Config = config::user(situation)?;
        Ok(Some(judge(envelope, &config)))
    }
}

thrall_sdk::export_hotwire!(OutboundGuard);

fn judge(envelope: &Envelope, config: &Config) -> Verdict {
    let mut counts = Counts::default();
    let mut strictest = Policy::Pass;
    let mut is_outside_body = false;
    let fields = envelope.fields.iter().filter(|field| !ADDRESSING.contains(&field.name.as_str()));
    for Field { name, value } in fields {
        for finding in scan(value, config) {
            let policy = config.policy(finding.kind);
            // The body once as text and once as JSON is one body.
            if name != "body_json" || !counts.has(finding.kind) {
                counts.add(finding.kind);
            }
            strictest = strictest.max(policy);
            // A redaction replaces the whole body, its JSON form as well.
            is_outside_body |= policy == Policy::Redact && !name.starts_with("body_");
        }
    }
    if counts.is_empty() {
        return Verdict::new("pass", "nothing found");
    }
    let found = ["found ", &counts.to_string()].concat();
    match strictest {
        Policy::Pass => Verdict::new("pass", [&found, ", all of it allowed"].concat()),
        Policy::Block => Verdict::new("block", found),
        Policy::Redact if is_outside_body => Verdict::new(
            "block",
            [&found, ", and not in the body, where it could be taken out"].concat(),
        ),
        Policy::Redact => redacted(envelope.field("body_text").unwrap_or_default(), config, found),
    }
}

fn redacted(body: &str, config: &Config, found: String) -> Verdict {
    match redact(body, config) {
        Some(text) if text.len() > MOST_BODY_BYTES => {
            Verdict::new("block", [&found, ", too long to be sent without it"].concat())
        }
        Some(text) => {
            let mut verdict = Verdict::new("redact", found);
            verdict.fields.push(Field::new("body", text));
            verdict
        }
        None => Verdict::new("block", [&found, ", and it cannot be taken out"].concat()),
    }
}
