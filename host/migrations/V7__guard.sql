-- What one sender made the node do, and what the node sent unasked: counted by
-- index, so that nothing about senders has to be kept in memory.

CREATE TABLE answers (
    sender_key  TEXT    NOT NULL,
    -- Empty where the event had no session of its own.
    session_id  TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('wake', 'reply', 'mail')),
    at          INTEGER NOT NULL,
    -- The event at the beginning: what several recipes make of one mail is one.
    root        INTEGER NOT NULL,
    -- 0 where a limit or a switch held it back.
    let_through INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_sender ON answers (sender_key, at);
CREATE INDEX answers_session ON answers (sender_key, session_id, at);

-- Mail that a recipe began, by recipient. Answers to their mail are not in it.
CREATE TABLE sent (
    node_key   TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX sent_node ON sent (node_key, at);

-- When the agent was last told of a sender, by what it did.
CREATE TABLE alerts (
    kind       TEXT    NOT NULL CHECK (kind IN ('loop', 'knock')),
    sender_key TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (kind, sender_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX journal_drops ON journal (sender_key, at)
    WHERE kind = 'decision' AND action = 'drop';
