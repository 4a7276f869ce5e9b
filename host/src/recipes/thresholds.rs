//! How sure a verdict has to be: one number, or one for each tier, so that the
//! same message can be decided for a sender who is known and be left to the next
//! evaluator for one who is not.

use serde::{Serialize, Serializer};
use toml::de::DeValue;

use crate::envelope::sender::Tier;
use crate::strict_toml::Table;

/// Below it a verdict is none. Between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    team: f32,
    known: f32,
    unknown: f32,
}

/// Tiers that have one; a blocked sender never gets so far.
const TIERS: [&str; 3] = ["team", "known", "unknown"];

impl Thresholds {
    /// The same for everybody.
    pub const fn same(threshold: f32) -> Self {
        Self { team: threshold, known: threshold, unknown: threshold }
    }

    pub fn of(self, tier: Tier) -> f32 {
        match tier {
            Tier::Team => self.team,
            Tier::Known => self.known,
            Tier::Unknown | Tier::Blocked => self.unknown,
        }
    }
}

impl Serialize for Thresholds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::same(self.unknown) {
            return serializer.serialize_f32(self.unknown);
        }
        serializer.collect_map([
            ("team", self.team),
            ("known", self.known),
            ("unknown", self.unknown),
        ])
    }
}

/// Reads `threshold`; `None` where it is absent or wrong.
pub(super) fn read(table: &Table<'_>) -> Option<Thresholds> {
    let is_table = matches!(table.value("threshold")?.get_ref(), DeValue::Table(_));
    if !is_table {
        return number(table, "threshold").map(Thresholds::same);
    }
    let tiers = table.table("threshold")?;
    tiers.only(&TIERS, &[("blocked", "a blocked sender is not evaluated at all")]);
    if !tiers.has("unknown") {
        tiers.missing("unknown", "unknown = 0.7: senders of no list are never held to less");
    }
    // A tier that is not named is held to what the next less trusted one is.
    let unknown = number(&tiers, "unknown")?;
    let or = |key: &str, usual: f32| if tiers.has(key) { number(&tiers, key) } else { Some(usual) };
    let known = or("known", unknown)?;
    Some(Thresholds { team: or("team", known)?, known, unknown })
}

fn number(table: &Table<'_>, key: &str) -> Option<f32> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and 1, where f32 is exact enough"
    )]
    table.number(key, 0.0..=1.0).map(|number| number as f32)
}
