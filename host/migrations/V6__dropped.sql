-- The operator may give up what waits to be performed: one more state of the
-- outbox. A CHECK cannot be widened in place: the table is written anew, with the
-- same rows.
CREATE TABLE outbox_new (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    journal_id    INTEGER REFERENCES journal (id) DEFERRABLE INITIALLY DEFERRED,
    envelope_seq  INTEGER,
    recipe        TEXT    NOT NULL,
    ordinal       INTEGER NOT NULL,
    class         TEXT    NOT NULL CHECK (class IN ('local', 'keyed', 'unkeyed')),
    kind          TEXT    NOT NULL,
    -- Rows of one lane are performed in order.
    lane          TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    -- Of a wake.
    task          TEXT,
    capability    TEXT,
    priority      INTEGER,
    mode          TEXT,
    flush_id      INTEGER REFERENCES flushes (id),
    state         TEXT    NOT NULL CHECK (state IN
        ('pending', 'attempting', 'done', 'recorded', 'failed', 'held', 'uncertain', 'dropped')),
    attempts      INTEGER NOT NULL DEFAULT 0,
    not_before    INTEGER NOT NULL DEFAULT 0,
    detail        TEXT    NOT NULL DEFAULT '',
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    -- What follows when a row comes to nothing: JSON, {"wake": true, "buffer": "NAME"}.
    after_failure TEXT
) STRICT;
INSERT INTO outbox_new (id, journal_id, envelope_seq, recipe, ordinal, class, kind, lane, body,
    task, capability, priority, mode, flush_id, state, attempts, not_before, detail, created_at,
    updated_at, after_failure)
SELECT id, journal_id, envelope_seq, recipe, ordinal, class, kind, lane, body,
    task, capability, priority, mode, flush_id, state, attempts, not_before, detail, created_at,
    updated_at, after_failure
FROM outbox ORDER BY id;
DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;
CREATE INDEX outbox_state ON outbox (state, id);
CREATE INDEX outbox_lane ON outbox (lane, id) WHERE state IN ('pending', 'attempting');
CREATE INDEX outbox_journal ON outbox (journal_id);
CREATE INDEX outbox_envelope ON outbox (envelope_seq);
CREATE INDEX outbox_flush ON outbox (flush_id) WHERE flush_id IS NOT NULL;
