use std::time::Duration;

use super::fixtures::*;
use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::journal::EvalType;
use crate::model::PromptForm;
use crate::stage::JournalQuery;
use crate::store::{JournalEntry, JournalFilter, PromptPush, PromptStep, Revision, StoreError};

fn query() -> JournalQuery {
    JournalQuery {
        recipe: None,
        from_node: None,
        session: None,
        action: None,
        since: TimestampMs(0),
        limit: 200,
    }
}

/// Ten runs, a second apart: senders a and b by turns, every third a wake.
fn filled() -> TestStore {
    let test = TestStore::new();
    for n in 0..10_u64 {
        let from = if n.is_multiple_of(2) { 'a' } else { 'b' };
        test.decide(&n.to_string(), from, |run| {
            run.row.at = NOW.plus(Duration::from_secs(n));
            run.row.session_id = if n < 4 { "s".into() } else { String::new() };
            if n.is_multiple_of(3) {
                run.row.action = "wake".into();
                run.row.action_name = "summon".into();
                run.row.eval_type = EvalType::Bypass;
            }
        });
    }
    test
}

#[test]
fn recipes_find_rows_by_every_condition() {
    let test = filled();
    let reader = test.store.reader();
    let now = NOW.plus(Duration::from_secs(3600));
    let count = |query: JournalQuery| reader.journal_count(&query, now).unwrap();
    let sender = |id: String| JournalQuery { from_node: Some(id), ..query() };
    assert_eq!(count(query()), 10);
    assert_eq!(count(sender(node('a'))), 5);
    assert_eq!(count(sender("a".repeat(16))), 5);
    assert_eq!(count(sender("a".repeat(17))), 0);
    assert_eq!(count(sender("nonsense".into())), 0);
    let drops = JournalQuery { action: Some("drop".into()), ..sender(node('a')) };
    assert_eq!(count(drops), 3);
    assert_eq!(count(JournalQuery { session: Some("s".into()), ..query() }), 4);
    assert_eq!(count(JournalQuery { session: Some("s".into()), ..sender(node('b')) }), 2);
    assert_eq!(count(JournalQuery { recipe: Some(RECIPE.into()), ..query() }), 10);
    assert_eq!(count(JournalQuery { recipe: Some("other".into()), ..query() }), 0);
    assert_eq!(count(JournalQuery { limit: 3, ..query() }), 3);
    let since = NOW.plus(Duration::from_secs(8));
    assert_eq!(count(JournalQuery { since, ..query() }), 2);
}

#[test]
fn recent_rows_come_newest_first_and_never_from_the_future() {
    let test = filled();
    let reader = test.store.reader();
    let now = NOW.plus(Duration::from_secs(5));
    let facts = reader.journal_recent(&query(), now).unwrap();
    let ids: Vec<u64> = facts.iter().map(|fact| fact.id).collect();
    assert_eq!(ids, [5, 4, 3, 2, 1]);
    assert_eq!((facts[1].action.as_str(), facts[1].from_node.as_str()), ("wake", &*node('b')));
    let month_later = NOW.plus(Duration::from_secs(31 * 24 * 3600));
    assert!(reader.journal_recent(&query(), month_later).unwrap().is_empty());
}

#[test]
fn lists_filter_and_page() {
    let test = filled();
    let reader = test.store.reader();
    let ids = |filter: JournalFilter| -> Vec<i64> {
        reader.journal_list(&filter).unwrap().iter().map(|record| record.id).collect()
    };
    let all = JournalFilter { limit: 100, ..JournalFilter::default() };
    assert_eq!(ids(JournalFilter { limit: 2, ..all.clone() }), [10, 9]);
    assert_eq!(ids(JournalFilter { limit: 2, before_id: Some(9), ..all.clone() }), [8, 7]);
    assert_eq!(ids(JournalFilter { action: Some("summon".into()), ..all.clone() }), [10, 7, 4, 1]);
    assert_eq!(ids(JournalFilter { action: Some("wake".into()), ..all.clone() }), [10, 7, 4, 1]);
    assert_eq!(ids(JournalFilter { from_node: Some("A".repeat(16)), ..all.clone() }).len(), 5);
    assert_eq!(ids(JournalFilter { from_node: Some(node('b')), ..all.clone() }).len(), 5);
    assert_eq!(ids(JournalFilter { eval_type: Some(EvalType::Bypass), ..all.clone() }).len(), 4);
    assert_eq!(ids(JournalFilter { recipe: Some("other".into()), ..all.clone() }).len(), 0);
    let until = Some(NOW.plus(Duration::from_secs(2)));
    assert_eq!(ids(JournalFilter { since: Some(NOW), until, ..all }), [2, 1]);
}

#[test]
fn tail_follows_rows_of_every_kind() {
    let test = filled();
    let reader = test.store.reader();
    let after = reader.last_journal_id().unwrap();
    assert!(reader.tail(after, 10).unwrap().is_empty());
    test.decide("new", 'c', |_| {});
    let tail = reader.tail(after, 10).unwrap();
    assert!(matches!(&tail[..], [one] if matches!(&one.entry,
        JournalEntry::Decision { envelope_id, .. } if envelope_id == "new")));
}

#[test]
fn status_counts_what_there_is() {
    let test = filled();
    test.accept(mail("waiting", &node('a'), "hello"));
    test.store.count_blocking("refused.too_large".into(), 2).unwrap();
    test.store.count_blocking("refused.too_large".into(), 1).unwrap();
    let seq = test.accept(mail("digest", &node('a'), "hello"));
    let operations = vec![compile("mail-digest", 0, &[]), wake()];
    test.commit(run_on(seq, &node('a'), "compile", operations));
    let status = test.store.reader().status(NOW).unwrap();
    assert_eq!((status.pending_events, status.journal_rows), (1, 11));
    assert_eq!(status.counters, [("refused.too_large".to_owned(), 3)]);
    assert_eq!((status.buffers[0].waiting, status.buffers[0].flushing), (1, 0));
    assert_eq!(status.outbox, [("pending".to_owned(), 1)]);
    let top = &status.decisions[0];
    assert_eq!((top.0.as_str(), top.1.as_str(), top.2), ("drop", "hotwire", 6));
    let later = NOW.plus(Duration::from_secs(100));
    assert!(test.store.reader().status(later).unwrap().decisions.is_empty());
}

fn push(text: &str, how: PromptStep) -> PromptPush {
    PromptPush {
        name: "triage".into(),
        form: PromptForm::Toml,
        content: text.into(),
        how,
        by: "operator".into(),
        at: NOW,
    }
}

#[test]
fn prompts_keep_every_version_and_the_last_one_loaded_is_in_use() {
    let test = TestStore::new();
    let reader = test.store.reader();
    let active = || reader.active_prompts().unwrap().pop().map(|one| one.content);
    assert_eq!(active(), None);
    let load = |text: &str| test.store.load_prompt_blocking(push(text, PromptStep::Load)).unwrap();
    let (first, second) = (load("one"), load("two"));
    assert_eq!((first.old_hash, second.old_hash), (None, Some(first.hash.clone())));
    assert!(!load("two").changed, "what is in use already is not loaded again");
    assert_eq!(active().as_deref(), Some("two"));
    load("one");
    assert_eq!(active().as_deref(), Some("one"));
    let marks = reader.prompt_marks(Some("triage")).unwrap();
    assert_eq!(marks.iter().map(|mark| mark.active).collect::<Vec<_>>(), [false, true]);
    assert!(reader.prompt_marks(Some("other")).unwrap().is_empty());
    let history = reader.prompt_activations("triage", 10).unwrap();
    let hashes: Vec<&str> = history.iter().map(|one| one.hash.as_str()).collect();
    assert_eq!(hashes, [&first.hash, &second.hash, &first.hash]);
}

#[tokio::test]
async fn a_load_is_a_row_of_the_journal_and_what_comes_with_a_home_is_none() {
    let test = TestStore::new();
    let reader = test.store.reader();
    test.store.load_prompt(push("zero", PromptStep::Shipped)).await.unwrap();
    assert_eq!(reader.last_journal_id().unwrap(), 0);
    let loaded = test.store.load_prompt(push("one", PromptStep::Load)).await.unwrap();
    let zero = reader.prompt_marks(None).unwrap().pop().unwrap().sha256;
    let back = |to| test.store.roll_prompt_back("triage".into(), to, "operator".into(), NOW);
    back(zero).await.unwrap();
    let error = back(Digest::of(b"three")).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchPrompt { .. }), "{error}");
    assert!(reader.active_prompts().unwrap()[0].mark.sha256 == zero, "nothing else is in use");
    let rows: Vec<_> = reader
        .tail(0, 10)
        .unwrap()
        .into_iter()
        .map(|record| match record.entry {
            JournalEntry::Performed(row) => (row.operation, row.state, row.detail),
            other => panic!("{other:?}"),
        })
        .collect();
    let says = |how: &str, new: &str, old: &str| {
        let detail = format!("{new} is in use in place of {old}, by operator");
        (format!("prompt-{how}"), "triage".to_owned(), detail)
    };
    let (old, new) = (zero.short(), loaded.hash);
    assert_eq!(rows, [says("load", &new, &old), says("rollback", &old, &new)]);
    let detail: String = test
        .shell()
        .query_row("SELECT detail FROM journal WHERE id = 1", [], |row| row.get(0))
        .unwrap();
    let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
    assert_eq!(
        detail,
        serde_json::json!({"prompt": "triage", "old": old, "new": new, "by": "operator"})
    );
    reader.verify(&mut |_, _| ()).unwrap();
}

fn revision_of(digest: Digest, first_seen: TimestampMs) -> Revision {
    Revision {
        name: RECIPE.into(),
        digest,
        canonical: "mode = \"manual\"".into(),
        components: vec![("declarative-rules".into(), digest)],
        first_seen,
        source: "mode = \"manual\" # why".into(),
        grant: "mode = \"manual\"".into(),
        binding: digest,
        granted: None,
    }
}

#[test]
fn what_went_live_last_is_last_whatever_the_clock_says() {
    let digests = [b"a", b"b", b"c", b"d"].map(|text: &[u8; 1]| Digest::of(text));
    let times = [NOW, NOW, NOW.minus(Duration::from_secs(60)), NOW];
    let test = TestStore::new();
    for (digest, at) in digests.into_iter().zip(times) {
        test.store.remember_revision_blocking(revision_of(digest, at)).unwrap();
        let newest = &test.store.reader().live_revisions(RECIPE, 1).unwrap()[0];
        assert_eq!(newest.digest, digest);
    }
    // Back to the first: it is the newest again.
    test.store.remember_revision_blocking(revision_of(digests[0], NOW)).unwrap();
    assert_eq!(test.store.reader().live_revisions(RECIPE, 1).unwrap()[0].digest, digests[0]);
}

#[test]
fn revisions_are_kept_as_first_seen() {
    let test = TestStore::new();
    let mut one = revision_of(revision(), NOW);
    test.store.remember_revision_blocking(one.clone()).unwrap();
    let stored = test.store.reader().revision(RECIPE, &revision()).unwrap();
    assert_eq!(stored.as_ref(), Some(&one));
    one.first_seen = NOW.plus(Duration::from_secs(1));
    test.store.remember_revision_blocking(one).unwrap();
    assert_eq!(test.store.reader().revision(RECIPE, &revision()).unwrap(), stored);
}
