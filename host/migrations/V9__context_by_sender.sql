-- Context belongs to a session of one sender: a session's id is a field that
-- anybody may write. What was remembered before is kept where only one sender
-- ever spoke in its session; of the rest nobody knows whose it is.
CREATE TABLE context_by_sender (
    session_id TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    sender_key TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (session_id, namespace, sender_key, key)
) STRICT, WITHOUT ROWID;

INSERT INTO context_by_sender
SELECT c.session_id, c.namespace, s.sender_key, c.key, c.value, c.created_at, c.expires_at
FROM context c
JOIN (SELECT session_id, min(sender_key) AS sender_key FROM journal
      WHERE kind = 'decision' GROUP BY session_id
      HAVING min(sender_key) = max(sender_key)) s USING (session_id);

DROP VIEW thrall_context;
DROP TABLE context;
ALTER TABLE context_by_sender RENAME TO context;

CREATE VIEW thrall_context AS
SELECT session_id, key, value, created_at / 1000.0 AS created_at,
       expires_at / 1000.0 AS expires_at
FROM context;
