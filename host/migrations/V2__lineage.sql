-- Events that recipes triggered. All four are NULL for what a source brought.

-- The number of the event that a source brought, and that source: what it may
-- say about its sender holds for the whole chain.
ALTER TABLE envelopes ADD COLUMN root INTEGER;
ALTER TABLE envelopes ADD COLUMN root_source TEXT;
-- ["recipe", ...] from the root, the one that triggered this event last.
ALTER TABLE envelopes ADD COLUMN lineage TEXT;
-- The journal row that was written in the same transaction.
ALTER TABLE envelopes ADD COLUMN triggered_by INTEGER;
-- Counts and lists what descends from one event: a bounded number each.
CREATE INDEX envelopes_root ON envelopes (root) WHERE root IS NOT NULL;
