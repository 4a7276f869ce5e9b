-- What is kept so that a granted revision goes on when its file changes, also
-- after a restart, and so that budgets of a day outlive one.

-- The file's own text; the grant that the revision was last live under, as its
-- file; and when that was (NULL: it never was).
ALTER TABLE recipes ADD COLUMN source TEXT;
ALTER TABLE recipes ADD COLUMN grant_text TEXT;
ALTER TABLE recipes ADD COLUMN last_live INTEGER;
-- What a grant names.
ALTER TABLE recipes ADD COLUMN binding BLOB;

-- Every grant that was ever in force, in order. An empty content is a grant
-- that was taken away.
CREATE TABLE grants (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    recipe  TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    content TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_recipe ON grants (recipe, id);

-- Questions to the model, by recipe and day since 1970 (UTC).
CREATE TABLE usage (
    recipe      TEXT    NOT NULL,
    day         INTEGER NOT NULL,
    model_calls INTEGER NOT NULL,
    PRIMARY KEY (recipe, day)
) STRICT, WITHOUT ROWID;

-- Revisions that failed too often.
CREATE TABLE trips (
    recipe   TEXT    NOT NULL,
    revision BLOB    NOT NULL,
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (recipe, revision)
) STRICT, WITHOUT ROWID;

-- How often something was done in the last hour: one row for each recipe that
-- answers for it, those on the way to its event included. Older rows go.
CREATE TABLE done (
    recipe TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX done_recipe ON done (recipe, kind, at);
