//! Peers that have not been seen for long. Told once, and again when the memory
//! of it expires; a peer that came back and went again is new.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;
use thrall_sdk::{Field, Verdict};

/// The flag that holds who was reported.
pub(crate) const REPORTED: &str = "stale-peers";

/// Beyond it a network has other troubles than one peer.
const MOST_NAMED: usize = 20;
/// More than a gathered list can hold; seventeen bytes each in a flag.
const MOST_REMEMBERED: usize = 1000;
const MOST_HOST_CHARS: usize = 64;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// So few peers say nothing about the network.
const FEWEST_FOR_ALARM: usize = 4;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Not seen for so long is stale.
    stale_after_hours: u64,
    /// So many stale of all peers is an alarm: it is more likely this node that
    /// is cut off.
    alarm_percent: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { stale_after_hours: 24, alarm_percent: 50 }
    }
}

struct Peer {
    host: String,
    seen_ms: u64,
}

/// # Errors
/// When the gathered text is no list.
pub(crate) fn judge(
    peers: &str,
    now: u64,
    config: &Config,
    remembered: &dyn Fn(&str) -> Option<String>,
) -> Result<Verdict, String> {
    let peers = read(peers)?;
    let limit = now.saturating_sub(config.stale_after_hours.max(1).saturating_mul(HOUR_MS));
    let stale: Vec<(&String, &Peer)> =
        peers.iter().filter(|(_, peer)| peer.seen_ms < limit).collect();
    let reported = remembered(REPORTED).unwrap_or_default();
    let was_told = |id: &str| reported.split(',').any(|known| known == id);
    let fresh: Vec<&(&String, &Peer)> = stale.iter().filter(|(id, _)| !was_told(id)).collect();
    let (all, many) = (peers.len().to_string(), stale.len().to_string());
    let hours = config.stale_after_hours.max(1).to_string();
    let reason = [&many, " of ", &all, " peers were not seen for ", &hours, " h"].concat();
    let is_alarm = peers.len() >= FEWEST_FOR_ALARM
        && stale.len() * 100 >= peers.len() * config.alarm_percent.clamp(1, 100);
    let ids: Vec<&str> = stale.iter().take(MOST_REMEMBERED).map(|(id, _)| id.as_str()).collect();
    let now_told = ids.join(",");
    let action = match (fresh.is_empty(), now_told == reported) {
        (false, _) if is_alarm => "alarm",
        (false, _) => "report",
        // Some came back: forget that they were reported.
        (true, false) => "forget",
        (true, true) => "log",
    };
    let mut verdict = Verdict::new(action, reason);
    verdict.fields.push(Field::new("stale", now_told));
    verdict.fields.push(Field::new("list", list(&fresh, now)));
    Ok(verdict)
}

fn list(peers: &[&(&String, &Peer)], now: u64) -> String {
    let mut lines: Vec<String> = peers
        .iter()
        .take(MOST_NAMED)
        .map(|(id, peer)| {
            let hours = (now.saturating_sub(peer.seen_ms) / HOUR_MS).to_string();
            [id.as_str(), " at ", &peer.host, ", last seen ", &hours, " h ago"].concat()
        })
        .collect();
    if let Some(more) = peers.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        lines.push(["and ", &more.to_string(), " more"].concat());
    }
    lines.join("; ")
}

/// By the beginning of the id, as ids are shown everywhere; of a node that is
/// listed twice the later sight counts. A row that says no id or no time is none.
fn read(json: &str) -> Result<BTreeMap<String, Peer>, String> {
    let mut peers: BTreeMap<String, Peer> = BTreeMap::new();
    for row in rows(json)? {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let id: String = text("node_id").chars().take(16).collect();
        let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let last_seen = row.get("last_seen").and_then(Value::as_f64);
        let Some(seen_ms) = last_seen.and_then(milliseconds).filter(|_| is_id) else { continue };
        let host = text("host").chars().filter(|c| !c.is_control()).take(MOST_HOST_CHARS).collect();
        let peer = peers.entry(id).or_insert(Peer { host, seen_ms });
        peer.seen_ms = peer.seen_ms.max(seen_ms);
    }
    Ok(peers)
}

/// Nodes tell seconds; a number beyond the year 5000 is milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "finite and positive, and what is too large stays the largest"
)]
fn milliseconds(at: f64) -> Option<u64> {
    let is_time = at.is_finite() && at > 0.0;
    let in_milliseconds = if at > 1e11 { at } else { at * 1000.0 };
    is_time.then_some(in_milliseconds as u64)
}

/// The rows that are whole: of a list that was cut, those before the cut.
fn rows(json: &str) -> Result<Vec<Value>, String> {
    let mut rows = Vec::new();
    let read = Rows(&mut rows).deserialize(&mut serde_json::Deserializer::from_str(json));
    match read {
        Err(error) if rows.is_empty() && !json.trim_start().starts_with('[') => {
            Err(["the node's peers are no list: ", &error.to_string()].concat())
        }
        _ => Ok(rows),
    }
}

struct Rows<'r>(&'r mut Vec<Value>);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of peers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            self.0.push(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn row(id: &str, hours_ago: u64) -> String {
        let seen = (NOW - hours_ago * HOUR_MS) / 1000;
        let id = id.repeat(32);
        format!(
            "{{\"node_id\": \"{id}\", \"host\": \"10.0.0.1\", \"load\": {{\"cpu\": 1}}, \"last_seen\": {seen}.5}}"
        )
    }

    fn peers(rows: &[(&str, u64)]) -> String {
        let rows: Vec<String> = rows.iter().map(|(id, hours)| row(id, *hours)).collect();
        format!("[{}]", rows.join(", "))
    }

    fn judged(peers: &str, reported: &str) -> Verdict {
        let remembered = |key: &str| (key == REPORTED).then(|| reported.to_owned());
        judge(peers, NOW, &Config::default(), &remembered).unwrap()
    }

    #[test]
    fn a_peer_that_is_gone_is_told_once() {
        let one = peers(&[("aa", 1), ("bb", 30), ("cc", 2), ("dd", 3)]);
        let verdict = judged(&one, "");
        assert_eq!(
            (verdict.action.as_str(), verdict.reason.as_str()),
            ("report", "1 of 4 peers were not seen for 24 h")
        );
        assert_eq!(verdict.field("stale"), Some("bbbbbbbbbbbbbbbb"));
        assert_eq!(verdict.field("list"), Some("bbbbbbbbbbbbbbbb at 10.0.0.1, last seen 29 h ago"));
        assert_eq!(judged(&one, "bbbbbbbbbbbbbbbb").action, "log");
        let other = peers(&[("aa", 1), ("bb", 30), ("cc", 40), ("dd", 3), ("ee", 3)]);
        let verdict = judged(&other, "bbbbbbbbbbbbbbbb");
        assert_eq!(verdict.action, "report");
        assert!(!verdict.field("list").unwrap().contains("bbbb"), "{verdict:?}");
        assert_eq!(verdict.field("stale"), Some("bbbbbbbbbbbbbbbb,cccccccccccccccc"));
    }

    #[test]
    fn who_came_back_is_forgotten_without_a_word() {
        let verdict = judged(&peers(&[("aa", 1), ("bb", 1)]), "bbbbbbbbbbbbbbbb");
        assert_eq!((verdict.action.as_str(), verdict.field("stale")), ("forget", Some("")));
    }

    #[test]
    fn half_of_them_gone_is_an_alarm_but_not_one_of_two() {
        assert_eq!(
            judged(&peers(&[("aa", 1), ("bb", 30), ("cc", 40), ("dd", 3)]), "").action,
            "alarm"
        );
        assert_eq!(judged(&peers(&[("aa", 1), ("bb", 30)]), "").action, "report");
        assert_eq!(judged("[]", "").action, "log");
    }

    #[test]
    fn a_node_that_is_listed_twice_counts_by_its_later_sight() {
        let verdict = judged(&peers(&[("aa", 50), ("aa", 1), ("bb", 30), ("bb", 40)]), "");
        assert_eq!(verdict.reason, "1 of 2 peers were not seen for 24 h");
        assert!(verdict.field("list").unwrap().contains("29 h ago"));
    }

    #[test]
    fn a_list_that_was_cut_is_read_as_far_as_it_goes() {
        let whole = peers(&[("aa", 1), ("bb", 30), ("cc", 1), ("dd", 1)]);
        for end in 0..whole.len() {
            let cut = whole.get(..end).unwrap();
            let verdict = judge(cut, NOW, &Config::default(), &|_| None);
            assert_eq!(verdict.is_err(), end == 0, "{cut}");
        }
        let cut = whole.get(..whole.len() - 10).unwrap();
        assert_eq!(judged(cut, "").reason, "1 of 3 peers were not seen for 24 h");
    }

    #[test]
    fn what_is_no_list_is_an_error_and_odd_rows_are_passed_over() {
        for text in ["", "{}", "\"peers\"", "null"] {
            assert!(judge(text, NOW, &Config::default(), &|_| None).is_err(), "{text}");
        }
        let odd = format!(
            "[{{}}, 7, {{\"node_id\": \"x\", \"last_seen\": 1}}, {{\"node_id\": \"{}\", \"host\": null, \"last_seen\": \"never\"}}, {}]",
            "ab".repeat(32),
            row("cd", 1)
        );
        assert_eq!(judged(&odd, "").reason, "0 of 1 peers were not seen for 24 h");
    }

    #[test]
    fn a_thousand_lost_peers_make_a_short_note() {
        let rows: Vec<String> = (0..1000).map(|n| row(&format!("{n:04x}"), 50)).collect();
        let verdict = judged(&format!("[{}]", rows.join(",")), "");
        assert!(verdict.field("list").unwrap().ends_with("and 980 more"));
        assert_eq!(verdict.field("stale").unwrap().len(), 1000 * 17 - 1);
    }
}
