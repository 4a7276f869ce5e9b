-- Answers that come later, reviews, and the two kinds of journal row for them.

-- The journal knows two more kinds of row. A CHECK cannot be widened in place:
-- the table is written anew, with the same rows and the same hashes.
DROP VIEW thrall_journal;
DROP VIEW thrall_classifications;
DROP TRIGGER journal_is_never_changed;
DROP TRIGGER journal_is_never_shortened;
CREATE TABLE journal_new (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT NOT NULL CHECK (kind IN ('decision', 'performed', 'review', 'prune')),
    at             INTEGER NOT NULL,
    envelope_seq   INTEGER,
    envelope_id    TEXT,
    recipe         TEXT NOT NULL,
    revision       BLOB,
    trigger        TEXT,
    source         TEXT,
    from_node      TEXT,
    sender_key     TEXT,
    session_id     TEXT,
    tier           TEXT,
    mode           TEXT,
    eval_type      TEXT,
    action         TEXT NOT NULL,
    action_name    TEXT NOT NULL,
    reason         TEXT NOT NULL,
    confidence     REAL,
    prompt_hash    TEXT,
    model          TEXT,
    counted        INTEGER NOT NULL,
    wall_us        INTEGER,
    decision_hash  BLOB,
    trace_digest   BLOB,
    payload_digest BLOB,
    outbox_id      INTEGER,
    detail         TEXT,
    hash           BLOB NOT NULL
) STRICT;
INSERT INTO journal_new SELECT * FROM journal ORDER BY id;
DROP TABLE journal;
ALTER TABLE journal_new RENAME TO journal;
CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_never_shortened BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE UNIQUE INDEX journal_once ON journal (envelope_seq, recipe) WHERE kind = 'decision';
CREATE INDEX journal_sender ON journal (sender_key, recipe, counted, at)
    WHERE kind = 'decision';
CREATE INDEX journal_recipe ON journal (recipe, at) WHERE kind = 'decision';
CREATE INDEX journal_time ON journal (at / 1000.0) WHERE kind = 'decision';
CREATE INDEX journal_outbox ON journal (outbox_id) WHERE outbox_id IS NOT NULL;

-- What follows when a row comes to nothing: JSON, {"wake": true, "buffer": "NAME"}.
ALTER TABLE outbox ADD COLUMN after_failure TEXT;

-- Answers of skills that a recipe waits for: one for each row of the outbox
-- that asked with continue_as. `status` is set in the transaction that ends the
-- outbox row, `used_at` in the one that stores the on_result event.
CREATE TABLE continuations (
    outbox_id    INTEGER PRIMARY KEY REFERENCES outbox (id),
    -- Random; what a node is given to answer under.
    id           TEXT    NOT NULL UNIQUE,
    envelope_seq INTEGER NOT NULL,
    -- The event that a source brought, at the beginning of the chain.
    root         INTEGER NOT NULL,
    recipe       TEXT    NOT NULL,
    revision     BLOB    NOT NULL,
    continue_as  TEXT    NOT NULL,
    skill        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    status       TEXT,
    output       TEXT,
    used_at      INTEGER
) STRICT;
CREATE INDEX continuations_open ON continuations (status, expires_at) WHERE used_at IS NULL;
CREATE INDEX continuations_root ON continuations (root) WHERE used_at IS NULL;

-- Runs that a person should look at. A review itself is a row of the journal;
-- here is where each stands.
CREATE TABLE reviews (
    journal_id  INTEGER PRIMARY KEY,
    recipe      TEXT    NOT NULL,
    revision    BLOB    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('open', 'confirmed', 'corrected')),
    -- operator or agent; the agent's are proposals and leave the state open.
    role        TEXT,
    correction  TEXT,
    note        TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX reviews_recipe ON reviews (recipe, state, journal_id);
CREATE INDEX reviews_state ON reviews (state, journal_id);

CREATE VIEW thrall_journal AS
SELECT j.id                                       AS id,
       j.at / 1000.0                              AS timestamp,
       j.recipe                                   AS pipeline,
       j.session_id                               AS session_id,
       coalesce(p.body, '{}')                     AS envelope_json,
       json_extract(t.body, '$.filter')           AS filter_json,
       j.eval_type                                AS eval_type,
       json_object('eval_type', j.eval_type, 'action', j.action, 'reason', j.reason,
                   'wall_ms', j.wall_us / 1000)   AS eval_result,
       j.action_name                              AS action_name,
       json_extract(t.body, '$.action')           AS action_trace,
       NULL                                       AS context_written,
       j.wall_us / 1000                           AS wall_ms,
       j.mode                                     AS mode,
       coalesce(r.state <> 'open', 0)             AS reviewed,
       r.correction                               AS correction,
       substr(j.from_node, 1, 16)                 AS from_node
FROM journal j
LEFT JOIN payloads p ON p.seq = j.envelope_seq
LEFT JOIN traces t ON t.journal_id = j.id
LEFT JOIN reviews r ON r.journal_id = j.id
WHERE j.kind = 'decision';

CREATE VIEW thrall_classifications AS
SELECT j.id                                       AS rowid,
       j.envelope_id                              AS message_id,
       j.from_node                                AS from_node,
       j.tier                                     AS tier,
       CASE WHEN j.action_name IN ('breaker_blocked', 'loop_blocked', 'rate_limited', 'skip_invalid')
            THEN j.action_name ELSE j.action END  AS action,
       j.reason                                   AS reasoning,
       j.prompt_hash                              AS prompt_hash,
       j.wall_us / 1000                           AS wall_ms,
       j.session_id                               AS session_id,
       j.at / 1000.0                              AS created_at,
       j.at / 1000.0 + 30 * 86400                 AS ttl_expires
FROM journal j
WHERE j.kind = 'decision' AND j.trigger = 'on_mail';
