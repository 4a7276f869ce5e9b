-- How a version is written down: `toml` is a prompt file, `text` the bare text that the
-- earlier thrall took.
ALTER TABLE prompts ADD COLUMN form TEXT NOT NULL DEFAULT 'toml';

-- Each time that a version became the one in use; what `prompt rollback` goes back along.
CREATE TABLE prompt_activations (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL,
    sha256  BLOB    NOT NULL,
    -- shipped, load, rollback
    how     TEXT    NOT NULL,
    by_whom TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX prompt_activations_by_name ON prompt_activations (name, id);
