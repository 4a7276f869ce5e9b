//! Which prompt a message is put under: the sender's own, else its tier's, else
//! the usual one.

use std::collections::BTreeSet;

use crate::envelope::sender::{FULL_ID_LEN, Tier, is_node_id};

/// The prompts that an evaluator chooses from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptChoice {
    pub usual: String,
    pub tiers: Vec<(Tier, String)>,
    pub senders: SenderPrompts,
}

impl PromptChoice {
    /// One prompt for everybody.
    pub fn one(prompt: impl Into<String>) -> Self {
        Self { usual: prompt.into(), tiers: Vec::new(), senders: SenderPrompts::default() }
    }

    /// The prompt for a sender of a tier.
    pub fn of(&self, tier: Tier, from_node: &str) -> &str {
        let of_tier = || self.tiers.iter().find(|(own, _)| *own == tier).map(|(_, prompt)| prompt);
        self.senders.of(from_node).or_else(|| of_tier().map(String::as_str)).unwrap_or(&self.usual)
    }

    /// Every prompt that can be chosen, once.
    pub fn all(&self) -> BTreeSet<&str> {
        let tiers = self.tiers.iter().map(|(_, prompt)| prompt.as_str());
        let senders = self.senders.0.iter().map(|(_, prompt)| prompt.as_str());
        std::iter::once(self.usual.as_str()).chain(tiers).chain(senders).collect()
    }
}

/// Prompts by sender: a full node id, or a beginning of at least 16 characters.
/// The rules are those of the tier lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderPrompts(Vec<(String, String)>);

impl SenderPrompts {
    /// Adds an entry.
    ///
    /// # Errors
    /// Why it is none, or which earlier one it cannot be told from.
    pub fn add(&mut self, node: &str, prompt: &str) -> Result<(), String> {
        if !is_node_id(node) {
            return Err("is no node id: give the full 64 hex characters, or at least the first 16"
                .to_owned());
        }
        let node = node.to_ascii_lowercase();
        let clash = self.0.iter().find(|(earlier, _)| {
            let is_prefix = node.len() < FULL_ID_LEN && earlier.len() < FULL_ID_LEN;
            *earlier == node
                || (is_prefix && (earlier.starts_with(&node) || node.starts_with(earlier)))
        });
        if let Some((earlier, _)) = clash {
            return Err(format!("matches the same nodes as {earlier:?}: give full ids"));
        }
        self.0.push((node, prompt.to_owned()));
        Ok(())
    }

    /// The exact id first, then a beginning; nothing for what is no node id.
    fn of(&self, from_node: &str) -> Option<&str> {
        if self.0.is_empty() || !is_node_id(from_node) {
            return None;
        }
        let node = from_node.to_ascii_lowercase();
        let exact = self.0.iter().find(|(entry, _)| *entry == node);
        let by_prefix = || {
            self.0
                .iter()
                .find(|(entry, _)| entry.len() < FULL_ID_LEN && node.starts_with(entry.as_str()))
        };
        exact.or_else(by_prefix).map(|(_, prompt)| prompt.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_sender_goes_before_a_prefix_a_prefix_before_the_tier() {
        let full = "ab".repeat(32);
        let mut senders = SenderPrompts::default();
        senders.add(&"AB".repeat(8), "by-prefix").unwrap();
        senders.add(&full, "exact").unwrap();
        let tiers = vec![(Tier::Known, "known".to_owned())];
        let choice = PromptChoice { senders, tiers, ..PromptChoice::one("usual") };
        let near = "ab".repeat(16) + &"cd".repeat(16);
        assert_eq!(choice.of(Tier::Known, &full.to_uppercase()), "exact");
        assert_eq!(choice.of(Tier::Known, &near), "by-prefix");
        assert_eq!(choice.of(Tier::Known, &"cd".repeat(32)), "known");
        assert_eq!(choice.of(Tier::Unknown, "abab"), "usual");
        assert_eq!(choice.of(Tier::Unknown, ""), "usual");
        assert_eq!(choice.all().len(), 4);
    }

    #[test]
    fn what_is_short_no_hex_or_ambiguous_is_refused() {
        let mut senders = SenderPrompts::default();
        for wrong in ["", "abab", &"x".repeat(16), &"a".repeat(65)] {
            assert!(senders.add(wrong, "p").unwrap_err().contains("at least the first 16"));
        }
        senders.add(&"a".repeat(20), "p").unwrap();
        for same in ["a".repeat(16), "A".repeat(20), "a".repeat(30)] {
            assert!(senders.add(&same, "p").unwrap_err().contains("give full ids"), "{same}");
        }
        senders.add(&"a".repeat(64), "p").unwrap();
        assert!(senders.add(&"a".repeat(64), "q").is_err());
    }
}
