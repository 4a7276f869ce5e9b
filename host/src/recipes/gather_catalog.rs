//! Facts that recipes gather by name, `gather = ["peer_count", "journal.*"]`:
//! the names of the earlier thrall, each with what is read for it or why it
//! cannot be had. What the answers become is in `pipeline/gathered_facts.rs`.

use super::gathering::{Fact, GatherSource, GatherSpec, JournalAsk, JournalWhat, Take};
use super::matching::glob_matches;
use crate::stage::JournalQuery;

struct Entry {
    name: &'static str,
    /// `GROUP.*` means all of a group.
    group: &'static str,
    gives: Gives,
}

enum Gives {
    /// A value as it stands in a route's answer.
    At(&'static str, &'static str),
    /// Worked out from a route's answer.
    From(&'static str, Fact),
    /// Worked out from so many of the newest journal rows of a day.
    Rows(u32, Fact),
    Never(&'static str),
}

const fn entry(name: &'static str, group: &'static str, gives: Gives) -> Entry {
    Entry { name, group, gives }
}

const NO_WALLET: &str = "this thrall holds no wallet and spends nothing";
const NO_MEMORY: &str = "there is no memory beside the journal; the node's own list is \
     source = \"cockpit\", route = \"settlements\"";

const ENTRIES: [Entry; 22] = [
    entry("peer_count", "status", Gives::At("status", "/peer_count")),
    entry("skill_count", "status", Gives::At("status", "/skill_count")),
    entry("uptime", "status", Gives::From("status", Fact::Uptime)),
    entry("node_version", "status", Gives::At("status", "/version")),
    entry("net_position", "economy", Gives::From("economy", Fact::NetPosition)),
    entry("worst_position", "economy", Gives::From("economy", Fact::WorstPosition)),
    entry("settlement_candidates", "economy", Gives::From("economy", Fact::SettlementCandidates)),
    entry("credit_floor_peers", "economy", Gives::From("economy", Fact::CreditFloorPeers)),
    entry("top_skills_by_revenue", "economy", Gives::From("economy", Fact::TopSkillsByRevenue)),
    entry("top_skills_by_cost", "economy", Gives::From("economy", Fact::TopSkillsByCost)),
    entry("bilateral_summary", "economy", Gives::From("economy", Fact::BilateralSummary)),
    entry("daily_spend", "wallet", Gives::Never(NO_WALLET)),
    entry("budget_remaining", "wallet", Gives::Never(NO_WALLET)),
    entry("budget_ceiling", "wallet", Gives::Never(NO_WALLET)),
    entry("recent_actions", "journal", Gives::Rows(5, Fact::RecentActions)),
    entry("action_counts", "journal", Gives::Rows(JournalQuery::MAX_LIMIT, Fact::ActionCounts)),
    entry("probe_entropy", "journal", Gives::Rows(JournalQuery::MAX_LIMIT, Fact::ProbeEntropy)),
    entry(
        "probe_unique_peers",
        "journal",
        Gives::Rows(JournalQuery::MAX_LIMIT, Fact::ProbeUniquePeers),
    ),
    entry("peer_list", "peers", Gives::From("peers", Fact::PeerList)),
    // Peers do not say what they offer; the list of skills says who does.
    entry("skill_inventory", "peers", Gives::From("skills", Fact::SkillInventory)),
    entry("peer_skill_gaps", "peers", Gives::From("skills", Fact::PeerSkillGaps)),
    entry("recent_settlements", "memory", Gives::Never(NO_MEMORY)),
];

/// How far back the journal's facts look.
const DAY_S: u64 = 24 * 3600;

/// What a word of the list stands for.
pub(super) enum Meaning {
    /// Facts, and those of its pattern that cannot be had, each with the reason.
    Facts(Vec<GatherSpec>, Vec<(&'static str, &'static str)>),
    /// Nothing that it means can be had.
    Never(&'static str),
    Unknown,
}

pub(super) fn meaning(word: &str) -> Meaning {
    if word.starts_with("knowledge.") {
        return Meaning::Never("knowledge packs are not in this version of thrall");
    }
    let found = matching(word);
    let facts: Vec<GatherSpec> = found.iter().filter_map(|entry| spec(entry)).collect();
    let left_out: Vec<_> = found
        .iter()
        .filter_map(|entry| match entry.gives {
            Gives::Never(why) => Some((entry.name, why)),
            _ => None,
        })
        .collect();
    match (facts.is_empty(), left_out.first()) {
        (true, Some((_, why))) => Meaning::Never(why),
        (true, None) => Meaning::Unknown,
        (false, _) => Meaning::Facts(facts, left_out),
    }
}

/// The names under which a word of the list is seen later.
pub(super) fn names(word: &str) -> impl Iterator<Item = &'static str> {
    matching(word).into_iter().filter(|entry| spec(entry).is_some()).map(|entry| entry.name)
}

/// Every word that means something, for the nearest one to a mistake.
pub(super) fn words() -> Vec<&'static str> {
    let names =
        ENTRIES.iter().filter(|entry| !matches!(entry.gives, Gives::Never(_))).map(|one| one.name);
    ["status.*", "economy.*", "peers.*", "journal.*"].into_iter().chain(names).collect()
}

/// A name, a pattern of names, or all of a group.
fn matching(word: &str) -> Vec<&'static Entry> {
    let all = |takes: &dyn Fn(&Entry) -> bool| ENTRIES.iter().filter(|one| takes(one)).collect();
    if !word.contains(['*', '?', '[']) {
        return all(&|entry| entry.name == word);
    }
    let by_name: Vec<_> = all(&|entry| glob_matches(word, entry.name));
    match word.strip_suffix(".*") {
        Some(group) if by_name.is_empty() => all(&|entry| entry.group == group),
        _ => by_name,
    }
}

fn spec(entry: &Entry) -> Option<GatherSpec> {
    let cockpit = |route: &str| GatherSource::Cockpit(route.to_owned());
    let (source, take) = match entry.gives {
        Gives::At(route, pointer) => (cockpit(route), Take::Pointer(pointer.to_owned())),
        Gives::From(route, fact) => (cockpit(route), Take::Fact(fact)),
        Gives::Rows(limit, fact) => {
            let what = JournalWhat::Recent;
            let ask = JournalAsk { recipe: None, action: None, since_s: DAY_S, limit, what };
            (GatherSource::Journal(ask), Take::Fact(fact))
        }
        Gives::Never(_) => return None,
    };
    let (name, max_bytes) = (entry.name.to_owned(), GatherSpec::MAX_BYTES);
    Some(GatherSpec { name, source, take, max_bytes })
}

/// One reading of the journal for all facts from it: as long as the longest of
/// them needs.
pub(super) fn share_journal(specs: &mut [GatherSpec]) {
    let longest = specs.iter().filter_map(|spec| fact_rows(spec).copied()).max();
    for spec in specs {
        if fact_rows(spec).is_some()
            && let GatherSource::Journal(ask) = &mut spec.source
        {
            ask.limit = longest.unwrap_or(ask.limit);
        }
    }
}

fn fact_rows(spec: &GatherSpec) -> Option<&u32> {
    match (&spec.source, &spec.take) {
        (GatherSource::Journal(ask), Take::Fact(_)) => Some(&ask.limit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::gathering::COCKPIT_ROUTES;
    use super::*;

    #[test]
    fn every_word_that_is_offered_means_facts_and_every_route_exists() {
        for word in words() {
            let Meaning::Facts(facts, _) = meaning(word) else { panic!("{word}") };
            assert_eq!(names(word).count(), facts.len());
            for fact in facts {
                if let GatherSource::Cockpit(route) = &fact.source {
                    assert!(COCKPIT_ROUTES.contains(&route.as_str()), "{route}");
                }
            }
        }
    }

    #[test]
    fn a_pattern_means_names_or_a_group_and_says_what_it_leaves_out() {
        let names = |word: &str| names(word).collect::<Vec<_>>();
        assert_eq!(names("probe_*"), ["probe_entropy", "probe_unique_peers"]);
        assert_eq!(names("peers.*"), ["peer_list", "skill_inventory", "peer_skill_gaps"]);
        assert_eq!(names("status.*").len(), 4);
        let Meaning::Facts(facts, left_out) = meaning("recent_*") else { panic!() };
        assert_eq!(facts.len(), 1);
        assert_eq!(left_out[0].0, "recent_settlements");
        assert!(matches!(meaning("wallet.*"), Meaning::Never(why) if why.contains("no wallet")));
        assert!(matches!(meaning("knowledge.music"), Meaning::Never(_)));
        for unknown in ["peers", "nothing.*", "peer_cuont", ""] {
            assert!(matches!(meaning(unknown), Meaning::Unknown), "{unknown}");
        }
    }
}
