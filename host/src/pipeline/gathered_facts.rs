//! The facts of the catalogue, worked out from what the node or the journal
//! answered. A list is one line for each item, `none` where there is none: that
//! is an answer. What the answer does not hold is an error, never a zero. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::recipes::Fact;
use crate::stage::JournalFact;

/// Lines of a list: what a page or a prompt can take.
const MAX_LINES: usize = 50;
const TOP_SKILLS: usize = 5;
const RECENT: usize = 5;
/// The longest name of somebody else's that is shown, in characters.
const MAX_NAME_CHARS: usize = 64;
/// From here on the node itself calls a position red; at its limit it is used
/// up. Both by its own measure: whether a negative balance means that we owe or
/// are owed is not settled between versions.
const RED_PERCENT: f64 = 80.0;
const FULL_PERCENT: f64 = 100.0;

/// A fact from a route's answer.
///
/// # Errors
/// What the answer lacks.
pub(super) fn of_json(fact: Fact, json: &Value) -> Result<String, String> {
    match fact {
        Fact::Uptime => Ok(format!("{:.1}h", number(json, "/uptime_seconds")? / 3600.0)),
        Fact::NetPosition => Ok(format!("{:.2}", number(json, "/summary/net_position")?)),
        Fact::WorstPosition => positions(json, f64::MIN, 1),
        Fact::SettlementCandidates => positions(json, RED_PERCENT, MAX_LINES),
        Fact::CreditFloorPeers => positions(json, FULL_PERCENT, MAX_LINES),
        Fact::TopSkillsByRevenue => top_skills(json, "/revenue_by_skill"),
        Fact::TopSkillsByCost => top_skills(json, "/cost_by_skill"),
        Fact::BilateralSummary => summary(json),
        Fact::PeerList => peer_list(json),
        Fact::SkillInventory => skill_inventory(json),
        Fact::PeerSkillGaps => skill_gaps(json),
        Fact::RecentActions | Fact::ActionCounts | Fact::ProbeEntropy | Fact::ProbeUniquePeers => {
            Err("the journal was not asked".to_owned())
        }
    }
}

/// A fact from journal rows, newest first.
///
/// # Errors
/// Where no row says anything about it.
pub(super) fn of_rows(fact: Fact, rows: &[JournalFact]) -> Result<String, String> {
    match fact {
        Fact::RecentActions => {
            Ok(lines(rows.iter().take(RECENT).map(|row| format!("{}: {}", row.recipe, row.action))))
        }
        Fact::ActionCounts => {
            let mut counts: Vec<_> = counts(rows).into_iter().collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            Ok(lines(counts.iter().map(|(action, count)| format!("{action}: {count}"))))
        }
        Fact::ProbeEntropy if rows.is_empty() => Err("nothing was decided in that time".to_owned()),
        Fact::ProbeEntropy => Ok(format!("{:.3}", entropy(&counts(rows), rows.len()))),
        Fact::ProbeUniquePeers => {
            let senders: BTreeSet<String> = rows
                .iter()
                .filter(|row| !row.from_node.is_empty())
                .map(|row| crate::envelope::sender::sender_key(&row.from_node))
                .collect();
            Ok(senders.len().to_string())
        }
        _ => Err("the node was not asked".to_owned()),
    }
}

fn counts(rows: &[JournalFact]) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.action.as_str()).or_insert(0) += 1;
    }
    counts
}

/// Shannon's, in bits.
fn entropy(counts: &BTreeMap<&str, u32>, total: usize) -> f64 {
    let total = u32::try_from(total).map_or(f64::MAX, f64::from);
    let bits = |count: &u32| {
        let share = f64::from(*count) / total;
        -share * share.log2()
    };
    // Not -0.000, where all did the same.
    counts.values().map(bits).sum::<f64>() + 0.0
}

fn number(json: &Value, pointer: &str) -> Result<f64, String> {
    json.pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("the answer holds no number at {pointer}"))
}

fn list<'a>(json: &'a Value, pointer: &str) -> Result<&'a Vec<Value>, String> {
    json.pointer(pointer).and_then(Value::as_array).ok_or_else(|| {
        format!(
            "the answer holds no list at {}",
            if pointer.is_empty() { "its top" } else { pointer }
        )
    })
}

fn lines(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.take(MAX_LINES).collect();
    if items.is_empty() { "none".to_owned() } else { items.join("\n") }
}

/// A name that somebody else chose, on one line.
fn name(item: &Value, key: &str) -> Option<String> {
    let text = item.get(key)?.as_str()?;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    (!clean.is_empty()).then_some(clean)
}

/// The beginning of an id, as it is shown everywhere.
fn short_id(item: &Value, keys: [&str; 2]) -> Option<String> {
    let id = keys.iter().find_map(|key| name(item, key))?;
    Some(id.chars().take(16).collect())
}

/// Positions with at least so much of their limit used, the fullest first.
fn positions(json: &Value, at_least: f64, most: usize) -> Result<String, String> {
    let mut found: Vec<(f64, String)> = Vec::new();
    for peer in list(json, "/peers")? {
        let used = number(peer, "/utilization_pct")?;
        let id = short_id(peer, ["public_key", "node_id"]).unwrap_or_default();
        if used >= at_least {
            let balance = number(peer, "/balance")?;
            found.push((used, format!("{id}: balance={balance:.2} utilization={used:.1}%")));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(lines(found.into_iter().take(most).map(|(_, line)| line)))
}

fn summary(json: &Value) -> Result<String, String> {
    let line = |peer: &Value| {
        let id = short_id(peer, ["public_key", "node_id"]).unwrap_or_default();
        let balance = number(peer, "/balance")?;
        let count = |key: &str| peer.get(key).map(Value::to_string).unwrap_or_default();
        let (provided, consumed) = (count("tasks_provided"), count("tasks_consumed"));
        Ok(format!("{id}: bal={balance:.2} prov={provided} cons={consumed}"))
    };
    let found: Result<Vec<String>, String> = list(json, "/peers")?.iter().map(line).collect();
    Ok(lines(found?.into_iter()))
}

/// What the node remembers of the last minutes, not of all time.
fn top_skills(json: &Value, pointer: &str) -> Result<String, String> {
    let mut found: Vec<(f64, String)> = Vec::new();
    for skill in list(json, pointer)? {
        let total = number(skill, "/total")?;
        if let Some(name) = name(skill, "skill_name") {
            found.push((total, format!("{name}: {total:.2}")));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(lines(found.into_iter().take(TOP_SKILLS).map(|(_, line)| line)))
}

/// One line for each node; the node's table can hold one twice.
fn peer_list(json: &Value) -> Result<String, String> {
    let mut seen = BTreeSet::new();
    let line = |peer: &Value| {
        let id = short_id(peer, ["node_id", "peer_id"])?;
        let line = match name(peer, "host") {
            Some(host) => format!("{id}: {host}"),
            None => id.clone(),
        };
        seen.insert(id).then_some(line)
    };
    Ok(lines(list(json, "")?.iter().filter_map(line)))
}

fn skill_inventory(json: &Value) -> Result<String, String> {
    let line = |skill: &Value| {
        let name = name(skill, "name")?;
        Some(match skill.get("providers").and_then(Value::as_array).map(Vec::len) {
            Some(1) => format!("{name}: 1 provider"),
            Some(providers) => format!("{name}: {providers} providers"),
            None => name,
        })
    };
    Ok(lines(list(json, "/network")?.iter().filter_map(line)))
}

/// Skills of others that this node does not have.
fn skill_gaps(json: &Value) -> Result<String, String> {
    let own: BTreeSet<String> =
        list(json, "/local")?.iter().filter_map(|skill| name(skill, "name")).collect();
    let others = list(json, "/network")?.iter().filter_map(|skill| name(skill, "name"));
    Ok(lines(others.filter(|name| !own.contains(name))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::TimestampMs;

    fn economy() -> Value {
        json!({
            "peers": [
                {"node_id": "05a8c1a7", "public_key": "aa".repeat(32), "balance": 10.0,
                 "utilization_pct": 21.7, "tasks_provided": 1, "tasks_consumed": 2},
                {"node_id": "05a8c1a7", "public_key": "bb".repeat(32), "balance": -8.0,
                 "utilization_pct": 100.0, "tasks_provided": 3, "tasks_consumed": 0},
                {"node_id": "05a8c1a7", "public_key": "cc".repeat(32), "balance": -4.5,
                 "utilization_pct": 84.8, "tasks_provided": 0, "tasks_consumed": 0},
            ],
            "summary": {"net_position": -2.5},
            "revenue_by_skill": [
                {"skill_name": "a", "count": 1, "total": 0.5}, {"skill_name": "b\n", "count": 2, "total": 3.0}],
            "cost_by_skill": [],
        })
    }

    #[test]
    fn positions_go_by_how_much_of_the_limit_is_used() {
        let fact = |fact: Fact| of_json(fact, &economy()).unwrap();
        assert_eq!(fact(Fact::NetPosition), "-2.50");
        let worst = "bbbbbbbbbbbbbbbb: balance=-8.00 utilization=100.0%";
        assert_eq!(fact(Fact::WorstPosition), worst);
        assert_eq!(fact(Fact::CreditFloorPeers), worst);
        let candidates = fact(Fact::SettlementCandidates);
        assert_eq!(
            candidates.lines().collect::<Vec<_>>(),
            [worst, "cccccccccccccccc: balance=-4.50 utilization=84.8%"]
        );
        assert_eq!(fact(Fact::TopSkillsByRevenue), "b: 3.00\na: 0.50");
        assert_eq!(fact(Fact::TopSkillsByCost), "none");
        assert!(
            fact(Fact::BilateralSummary).starts_with("aaaaaaaaaaaaaaaa: bal=10.00 prov=1 cons=2\n")
        );
    }

    #[test]
    fn what_the_answer_does_not_hold_is_said_and_never_a_zero() {
        let empty = json!({});
        for fact in [
            Fact::Uptime,
            Fact::NetPosition,
            Fact::WorstPosition,
            Fact::SettlementCandidates,
            Fact::TopSkillsByCost,
            Fact::BilateralSummary,
            Fact::PeerList,
            Fact::SkillInventory,
            Fact::PeerSkillGaps,
        ] {
            for json in
                [&empty, &json!([{}]), &json!("x"), &json!({"peers": [{}], "cost_by_skill": [{}]})]
            {
                if fact == Fact::PeerList && json.is_array() {
                    continue;
                }
                let why = of_json(fact, json).unwrap_err();
                assert!(why.starts_with("the answer holds no "), "{fact:?}: {why}");
            }
        }
        assert_eq!(of_json(Fact::PeerList, &json!([])).unwrap(), "none", "an answer as well");
    }

    #[test]
    fn peers_and_skills_are_listed_once_each_and_on_one_line() {
        let peers = json!([
            {"node_id": "ab".repeat(32), "host": "10.0.0.1"},
            {"node_id": "ab".repeat(32), "host": "10.0.0.2"},
            {"node_id": "cd".repeat(32), "host": "evil\nline"},
        ]);
        assert_eq!(
            of_json(Fact::PeerList, &peers).unwrap(),
            "abababababababab: 10.0.0.1\ncdcdcdcdcdcdcdcd: evilline"
        );
        let skills = json!({"local": [{"name": "own"}],
            "network": [{"name": "own", "providers": [1]}, {"name": "far", "providers": []}]});
        assert_eq!(
            of_json(Fact::SkillInventory, &skills).unwrap(),
            "own: 1 provider\nfar: 0 providers"
        );
        assert_eq!(of_json(Fact::PeerSkillGaps, &skills).unwrap(), "far");
        let many: Vec<Value> =
            (0..9_999).map(|n| json!({"name": "x".repeat(10_000) + &n.to_string()})).collect();
        let listed = of_json(Fact::SkillInventory, &json!({"network": many})).unwrap();
        assert!(listed.len() <= MAX_LINES * (MAX_NAME_CHARS + 1), "{}", listed.len());
    }

    #[test]
    fn the_journals_facts_are_counted_from_its_rows() {
        let row = |action: &str, from: &str| JournalFact {
            id: 1,
            at: TimestampMs(1),
            recipe: "triage".to_owned(),
            action: action.to_owned(),
            reason: String::new(),
            from_node: from.repeat(32),
        };
        let rows = [row("drop", "aa"), row("wake", "aa"), row("drop", "bb"), row("drop", "")];
        let fact = |fact: Fact| of_rows(fact, &rows).unwrap();
        assert_eq!(fact(Fact::ActionCounts), "drop: 3\nwake: 1");
        assert_eq!(fact(Fact::RecentActions).lines().next(), Some("triage: drop"));
        assert_eq!(fact(Fact::ProbeEntropy), "0.811");
        assert_eq!(fact(Fact::ProbeUniquePeers), "2");
        assert_eq!(of_rows(Fact::ProbeEntropy, &rows[..1]).unwrap(), "0.000");
        assert!(of_rows(Fact::ProbeEntropy, &[]).is_err());
        assert_eq!(of_rows(Fact::ProbeUniquePeers, &[]).unwrap(), "0", "counted");
        assert_eq!(of_rows(Fact::ActionCounts, &[]).unwrap(), "none");
    }
}
