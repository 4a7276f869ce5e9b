//! Who sent an event: the short key under which a sender is counted, and the
//! tier that the operator's list gives it. Pure; the list comes from the
//! configuration.
//!
//! Rules: an exact
//! full id matches first, then a prefix of at least 16 hex characters; an
//! empty, short or non-hex sender never matches anything and is `unknown`.

use serde::{Deserialize, Serialize};

/// Length of a full node id in hex characters.
pub const FULL_ID_LEN: usize = 64;
/// The shortest prefix that a tier list may hold.
pub const MIN_PREFIX_LEN: usize = 16;
/// The key of every sender whose id is not a node id.
pub const INVALID: &str = "invalid";

/// How far a sender is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Team,
    Known,
    Unknown,
    Blocked,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::Team, Self::Known, Self::Unknown, Self::Blocked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
        }
    }
}

/// Lower-case first 16 hex characters of a node id, or [`INVALID`]. An id
/// shorter than that, with anything but hex, or longer than a full id is
/// invalid. The key is safe in file names, log lines and SQL rows.
pub fn sender_key(from_node: &str) -> String {
    match from_node.get(..MIN_PREFIX_LEN) {
        Some(prefix) if is_node_id(from_node) => prefix.to_ascii_lowercase(),
        _ => INVALID.to_owned(),
    }
}

/// Whether a text can name a node: 16 to 64 hex characters.
pub fn is_node_id(text: &str) -> bool {
    (MIN_PREFIX_LEN..=FULL_ID_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The operator's tier lists, lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustList {
    entries: Vec<(String, Tier)>,
}

impl TrustList {
    /// Builds the list; `blocked` wins over `team` over `known` where one
    /// entry stands in several lists.
    ///
    /// # Errors
    /// An entry that is not 16 to 64 hex characters, or that is a prefix of
    /// another entry with a different tier (it would be ambiguous).
    pub fn new(entries: impl IntoIterator<Item = (String, Tier)>) -> Result<Self, String> {
        let mut list: Vec<(String, Tier)> = Vec::new();
        for (entry, tier) in entries {
            if !is_node_id(&entry) {
                return Err(format!(
                    "trust_tiers.{}: {entry:?} is not a node id: give the full 64 hex characters, or at least the first {MIN_PREFIX_LEN}",
                    tier.as_str()
                ));
            }
            list.push((entry.to_ascii_lowercase(), tier));
        }
        for (index, (entry, tier)) in list.iter().enumerate() {
            let clash = list.iter().skip(index + 1).find(|(other, other_tier)| {
                other_tier != tier
                    && other.len() != FULL_ID_LEN
                    && entry.len() != FULL_ID_LEN
                    && (other.starts_with(entry.as_str()) || entry.starts_with(other.as_str()))
            });
            if let Some((other, other_tier)) = clash {
                return Err(format!(
                    "trust_tiers: {entry:?} ({}) and {other:?} ({}) match the same nodes: give full ids",
                    tier.as_str(),
                    other_tier.as_str()
                ));
            }
        }
        Ok(Self { entries: list })
    }

    /// The tier of a sender; `Unknown` for anything that is no node id.
    /// A shortened sender id never matches a longer entry: only the entry may
    /// be the shorter one.
    pub fn tier_of(&self, from_node: &str) -> Tier {
        if !is_node_id(from_node) {
            return Tier::Unknown;
        }
        let node = from_node.to_ascii_lowercase();
        let exact = self.entries.iter().filter(|(entry, _)| *entry == node);
        let by_prefix = self
            .entries
            .iter()
            .filter(|(entry, _)| entry.len() < FULL_ID_LEN && node.starts_with(entry.as_str()));
        exact
            .map(|(_, tier)| *tier)
            .min_by_key(|tier| precedence(*tier))
            .or_else(|| by_prefix.map(|(_, tier)| *tier).min_by_key(|tier| precedence(*tier)))
            .unwrap_or(Tier::Unknown)
    }
}

fn precedence(tier: Tier) -> u8 {
    match tier {
        Tier::Blocked => 0,
        Tier::Team => 1,
        Tier::Known => 2,
        Tier::Unknown => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> TrustList {
        TrustList::new([
            ("b".repeat(16), Tier::Team),
            ("c".repeat(64), Tier::Known),
            ("bbbbbbbbbbbbbbbb0".to_owned() + &"0".repeat(47), Tier::Blocked),
        ])
        .unwrap()
    }

    #[test]
    fn exact_first_then_prefix() {
        let list = list();
        assert_eq!(list.tier_of(&"B".repeat(64)), Tier::Team);
        assert_eq!(list.tier_of(&"c".repeat(64)), Tier::Known);
        assert_eq!(list.tier_of(&("b".repeat(16) + &"0".repeat(48))), Tier::Blocked);
        assert_eq!(list.tier_of(&"c".repeat(16)), Tier::Unknown);
    }

    #[test]
    fn malformed_senders_are_unknown_and_have_one_key() {
        for bad in [
            "",
            "b",
            "bbbb",
            "../../etc/passwd",
            "abcdef01234567%_",
            "abcd\nef0123456789",
            &"b".repeat(65),
            "ééééééééé",
        ] {
            assert_eq!(list().tier_of(bad), Tier::Unknown, "{bad:?}");
            assert_eq!(sender_key(bad), INVALID, "{bad:?}");
        }
        assert_eq!(sender_key(&"AB".repeat(32)), "ab".repeat(8));
    }

    #[test]
    fn short_or_ambiguous_entries_are_refused() {
        assert!(TrustList::new([("dddd".to_owned(), Tier::Team)]).unwrap_err().contains("16"));
        let clash = [("e".repeat(16), Tier::Team), ("e".repeat(20), Tier::Known)];
        assert!(TrustList::new(clash).unwrap_err().contains("full ids"));
    }
}
