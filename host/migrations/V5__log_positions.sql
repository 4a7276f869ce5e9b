-- Where the host is in each log that it follows. A row is written before the
-- first event of a file and after every acceptance, and never removed: its
-- incarnation is part of the events' ids.
CREATE TABLE log_positions (
    path        TEXT    PRIMARY KEY,
    -- Grows with each file that takes the path, and with each truncation.
    incarnation INTEGER NOT NULL,
    -- Device and inode in hex; absent while there is no file.
    identity    TEXT,
    -- Everything before it was taken.
    offset      INTEGER NOT NULL,
    -- Of the first and the last bytes before the offset.
    fingerprint BLOB    NOT NULL,
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Of collected lines of a log: those of one file and one template are one item.
ALTER TABLE buffers ADD COLUMN template TEXT;
ALTER TABLE buffers ADD COLUMN file TEXT;
ALTER TABLE buffers ADD COLUMN lines INTEGER NOT NULL DEFAULT 1;
ALTER TABLE buffers ADD COLUMN last_at INTEGER;
ALTER TABLE buffers ADD COLUMN last_body TEXT;
CREATE INDEX buffers_like ON buffers (buffer, template)
    WHERE flush_id IS NULL AND template IS NOT NULL;
