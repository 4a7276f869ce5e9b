-- The first schema. Times are milliseconds since 1970, UTC, except in the
-- views for scripts of the earlier thrall, which keep their seconds.

-- Events as they were accepted.
CREATE TABLE envelopes (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT    NOT NULL,
    trigger        TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    parent         TEXT,
    depth          INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    payload_digest BLOB    NOT NULL,
    -- [["recipe", "revision in hex"], ...] in the order of running.
    matched        TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'done')),
    id_conflict    INTEGER NOT NULL,
    -- 1 where the id was given by the source and so stands in dedupe too.
    id_given       INTEGER NOT NULL
) STRICT;
CREATE INDEX envelopes_pending ON envelopes (seq) WHERE state = 'pending';
-- Ids that the host made itself grow with time; given ones are found through
-- dedupe, so that an event costs one insertion at a random place, not two.
CREATE INDEX envelopes_own_id ON envelopes (id) WHERE id_given = 0;

-- The fields of an event as a JSON object, apart from the envelope so that
-- they can expire: the journal's chain covers only their digest. Found by the
-- event's number and not by digest: rows are added at the end of the table
-- instead of at a random place of an index, and expire each by itself.
CREATE TABLE payloads (
    seq  INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE dedupe (
    id      TEXT    NOT NULL,
    -- Digest of source and sender, first 16 bytes.
    scope   BLOB    NOT NULL,
    -- Digest of trigger and fields, first 16 bytes.
    content BLOB    NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (id, scope, content)
) STRICT, WITHOUT ROWID;

-- The audit. Rows are only ever added; each hash covers the row before.
CREATE TABLE journal (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT NOT NULL CHECK (kind IN ('decision', 'performed')),
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
CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_never_shortened BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE UNIQUE INDEX journal_once ON journal (envelope_seq, recipe) WHERE kind = 'decision';
-- Both the rate of a sender and what recipes ask about it: insertions into it
-- go to as many places as there are senders, so there is only one such index.
CREATE INDEX journal_sender ON journal (sender_key, recipe, counted, at)
    WHERE kind = 'decision';
CREATE INDEX journal_recipe ON journal (recipe, at) WHERE kind = 'decision';
-- In seconds, because the old `timestamp` column is: one index serves both.
CREATE INDEX journal_time ON journal (at / 1000.0) WHERE kind = 'decision';
CREATE INDEX journal_outbox ON journal (outbox_id) WHERE outbox_id IS NOT NULL;

-- The story behind a decision row, JSON, without its host calls.
CREATE TABLE traces (
    journal_id INTEGER PRIMARY KEY,
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE host_calls (
    journal_id INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    stage      TEXT    NOT NULL,
    interface  TEXT    NOT NULL,
    function   TEXT    NOT NULL,
    request    TEXT    NOT NULL,
    answer     TEXT    NOT NULL,
    wall_us    INTEGER NOT NULL,
    PRIMARY KEY (journal_id, ordinal)
) STRICT, WITHOUT ROWID;

-- One flush of a buffer: its rows, its briefing and its wake belong together.
CREATE TABLE flushes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    buffer     TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    emptied_at INTEGER
) STRICT;
CREATE INDEX flushes_buffer ON flushes (buffer, at);

CREATE TABLE buffers (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    buffer       TEXT    NOT NULL,
    flush_id     INTEGER REFERENCES flushes (id),
    journal_id   INTEGER NOT NULL REFERENCES journal (id) DEFERRABLE INITIALLY DEFERRED,
    envelope_seq INTEGER NOT NULL,
    recipe       TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    from_node    TEXT    NOT NULL,
    sender_key   TEXT    NOT NULL,
    tier         TEXT    NOT NULL,
    msg_type     TEXT    NOT NULL,
    session_id   TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    note         TEXT    NOT NULL,
    priority     INTEGER NOT NULL,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX buffers_waiting ON buffers (buffer, id) WHERE flush_id IS NULL;
CREATE INDEX buffers_flush ON buffers (flush_id) WHERE flush_id IS NOT NULL;

-- Operations that are performed outside the transaction of their decision.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    journal_id   INTEGER REFERENCES journal (id) DEFERRABLE INITIALLY DEFERRED,
    envelope_seq INTEGER,
    recipe       TEXT    NOT NULL,
    ordinal      INTEGER NOT NULL,
    class        TEXT    NOT NULL CHECK (class IN ('local', 'keyed', 'unkeyed')),
    kind         TEXT    NOT NULL,
    -- Rows of one lane are performed in order.
    lane         TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    -- Of a wake.
    task         TEXT,
    capability   TEXT,
    priority     INTEGER,
    mode         TEXT,
    flush_id     INTEGER REFERENCES flushes (id),
    state        TEXT    NOT NULL CHECK (state IN
        ('pending', 'attempting', 'done', 'recorded', 'failed', 'held', 'uncertain')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    detail       TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_state ON outbox (state, id);
CREATE INDEX outbox_lane ON outbox (lane, id) WHERE state IN ('pending', 'attempting');
CREATE INDEX outbox_journal ON outbox (journal_id);
CREATE INDEX outbox_envelope ON outbox (envelope_seq);
CREATE INDEX outbox_flush ON outbox (flush_id) WHERE flush_id IS NOT NULL;

-- What recipes remember; each sees its own namespace, which is its name.
CREATE TABLE context (
    session_id TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (session_id, namespace, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE flags (
    namespace  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE cooldowns (
    recipe TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (recipe, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict_cache (
    key        BLOB    PRIMARY KEY,
    value      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recipes (
    name       TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    canonical  TEXT    NOT NULL,
    -- [["file or bundled name", "digest in hex"], ...]
    components TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    PRIMARY KEY (name, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE prompts (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL,
    -- First 16 hex characters of sha256.
    version   TEXT    NOT NULL,
    sha256    BLOB    NOT NULL,
    content   TEXT    NOT NULL,
    active    INTEGER NOT NULL,
    pushed_by TEXT    NOT NULL,
    pushed_at INTEGER NOT NULL,
    UNIQUE (name, sha256)
) STRICT;
CREATE UNIQUE INDEX prompts_active ON prompts (name) WHERE active = 1;

-- Names and columns that scripts of the earlier thrall read.
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
       0                                          AS reviewed,
       NULL                                       AS correction,
       substr(j.from_node, 1, 16)                 AS from_node
FROM journal j
LEFT JOIN payloads p ON p.seq = j.envelope_seq
LEFT JOIN traces t ON t.journal_id = j.id
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

CREATE VIEW thrall_prompts AS
SELECT name, content, version AS hash, pushed_by, pushed_at / 1000.0 AS pushed_at, active
FROM prompts p
WHERE active = 1
   OR (NOT EXISTS (SELECT 1 FROM prompts a WHERE a.name = p.name AND a.active = 1)
       AND id = (SELECT max(id) FROM prompts n WHERE n.name = p.name));

CREATE VIEW thrall_context AS
SELECT session_id, key, value, created_at / 1000.0 AS created_at,
       expires_at / 1000.0 AS expires_at
FROM context;
