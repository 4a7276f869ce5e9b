//! Events, runs and stores for tests.

use tempfile::TempDir;

use crate::buffers::{Flush, FlushRules};
use crate::clock::TimestampMs;
use crate::envelope::sender::{Tier, sender_key};
use crate::envelope::{Envelope, Field};
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::journal::{
    ActionTrace, Commit, CommitOutcome, DecisionRow, Delivery, EvalType, EvaluateTrace,
    FilterTrace, Guarding, HostInputs, RecipeTrace, Trace, UsageTrace,
};
use crate::operation::{Operation, PlannedOperation, WakeMode};
use crate::recipes::Mode;
use crate::store::{Accepted, Incoming, Store};
use crate::verdict::Verdict;

pub(crate) const NOW: TimestampMs = TimestampMs(1_772_271_101_000);
pub(crate) const RECIPE: &str = "mail-triage";

pub(crate) fn node(letter: char) -> String {
    letter.to_string().repeat(64)
}

pub(crate) fn revision() -> Digest {
    Digest::of(b"revision")
}

pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state"), NOW).unwrap();
        Self { store, dir }
    }

    /// Ends the store and opens it again, as after a restart.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        let store = Store::open(&dir.path().join("state"), NOW).unwrap();
        Self { store, dir }
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.dir.path().join("state/thrall.db")
    }

    /// A connection as a person's shell would have it, which may do anything.
    pub(crate) fn shell(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }

    pub(crate) fn accept(&self, event: Incoming) -> EnvelopeSeq {
        match self.store.accept_blocking(vec![event]).unwrap()[..] {
            [Accepted::New { seq, .. }] => seq,
            ref other => panic!("{other:?}"),
        }
    }

    pub(crate) fn commit(&self, run: Commit) -> JournalId {
        match self.store.commit_blocking(run).unwrap() {
            CommitOutcome::Committed { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// Accepts a mail and commits a run on it.
    pub(crate) fn decide(&self, id: &str, from: char, run: impl FnOnce(&mut Commit)) -> JournalId {
        let seq = self.accept(mail(id, &node(from), "hello"));
        let mut commit = run_on(seq, &node(from), "drop", Vec::new());
        run(&mut commit);
        self.commit(commit)
    }

    pub(crate) fn count(&self, table: &str) -> i64 {
        self.shell().query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    }

    /// As many more items like the oldest that waits.
    pub(crate) fn copy_item(&self, times: u32) {
        self.shell()
            .execute_batch(&format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})
                 INSERT INTO buffers (buffer, journal_id, envelope_seq, recipe, at, from_node,
                     sender_key, tier, msg_type, session_id, action, reason, note, priority, body)
                 SELECT b.buffer, journal_id, envelope_seq, recipe, at, from_node, sender_key,
                     tier, msg_type, session_id, action, reason, note, priority, body
                 FROM (SELECT * FROM buffers WHERE flush_id IS NULL ORDER BY id LIMIT 1) b, n"
            ))
            .unwrap();
    }

    pub(crate) fn flush_due(&self, now: TimestampMs, rules: FlushRules) -> Vec<Flush> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let faults = crate::fault_points::none();
        runtime.block_on(self.store.flush_due(now, rules, &faults)).unwrap()
    }

    pub(crate) fn assert_whole(&self) -> u64 {
        self.store.reader().verify(&mut |_, _| {}).unwrap().rows
    }
}

pub(crate) fn mail(id: &str, from: &str, body: &str) -> Incoming {
    let fields = vec![
        Field::new("body_text", body),
        Field::new("from_node", from),
        Field::new("msg_type", "text"),
    ];
    Incoming {
        envelope: Envelope {
            id: id.to_owned(),
            trigger: "on_mail".to_owned(),
            source: "mailbox".to_owned(),
            parent: None,
            depth: 0,
            received_at: NOW,
            root: None,
            lineage: Vec::new(),
            fields,
        },
        dedupe_id: Some(id.to_owned()),
        matched: vec![(RECIPE.to_owned(), revision())],
    }
}

/// A supervised run of [`RECIPE`] that carries the operations out.
pub(crate) fn run_on(
    seq: EnvelopeSeq,
    from: &str,
    action: &str,
    operations: Vec<Operation>,
) -> Commit {
    let row = DecisionRow {
        envelope_seq: seq,
        at: NOW,
        recipe: RECIPE.to_owned(),
        revision: revision(),
        trigger: "on_mail".to_owned(),
        source: "mailbox".to_owned(),
        from_node: from.to_owned(),
        sender_key: sender_key(from),
        session_id: String::new(),
        tier: Tier::Unknown,
        mode: Mode::Supervised,
        eval_type: EvalType::Hotwire,
        action: action.to_owned(),
        action_name: action.to_owned(),
        reason: "greeting".to_owned(),
        confidence: Some(0.75),
        prompt_hash: None,
        model: None,
        counted: true,
        wall_us: 30_500,
        decision_hash: Digest::of(b"decision"),
    };
    let trace = Trace {
        trigger: "on_mail".to_owned(),
        filter: FilterTrace {
            decision: "pass".to_owned(),
            tier: Tier::Unknown,
            reason: String::new(),
            component: None,
        },
        gather: Vec::new(),
        evaluate: EvaluateTrace {
            eval_type: EvalType::Hotwire,
            stage: "evaluate".to_owned(),
            model: None,
            prompt_hash: None,
            scores: vec![("greeting".to_owned(), 0.1), ("spam".to_owned(), 0.9)],
            result: Verdict::certain(action, "greeting"),
            notes: Vec::new(),
        },
        action: ActionTrace {
            name: action.to_owned(),
            operations: operations.into_iter().map(allowed).collect(),
            executed: true,
            notes: Vec::new(),
        },
        host_calls: Vec::new(),
        host_inputs: HostInputs::default(),
        logs: Vec::new(),
        usage: UsageTrace::default(),
        faults: Vec::new(),
        recipe: RecipeTrace {
            name: RECIPE.to_owned(),
            revision: revision(),
            grant_revision: Digest::ZERO,
            mode: Mode::Supervised,
        },
        decision_hash: Digest::of(b"decision"),
    };
    let delivery = Delivery {
        body_text: "hello".to_owned(),
        like: None,
        msg_type: "text".to_owned(),
        task: Some("Answer the question.".to_owned()),
        context_namespace: RECIPE.to_owned(),
        flag_namespace: RECIPE.to_owned(),
        ..Delivery::default()
    };
    Commit {
        row,
        trace,
        delivery,
        cooldown: None,
        cache: None,
        assumptions: Vec::new(),
        children: Vec::new(),
        guarding: Guarding::default(),
        closes_envelope: true,
    }
}

fn allowed(operation: Operation) -> PlannedOperation {
    PlannedOperation { operation, denied_by: None, would_execute: None }
}

pub(crate) fn compile(buffer: &str, threshold: u32, keywords: &[&str]) -> Operation {
    Operation::Compile {
        buffer: buffer.to_owned(),
        note: String::new(),
        summon_threshold: threshold,
        summon_keywords: keywords.iter().map(|&word| word.to_owned()).collect(),
    }
}

pub(crate) fn wake() -> Operation {
    Operation::Wake {
        mode: WakeMode::Respond,
        template: "wake".to_owned(),
        data: vec![Field::new("kind", "question")],
        capability: "reply".to_owned(),
        priority: 7,
    }
}
