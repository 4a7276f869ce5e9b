-- One flush may have many briefings and has one wake. While it takes items, a
-- step at a time, `upto` is the last that it may take.
ALTER TABLE flushes ADD COLUMN upto INTEGER;
CREATE INDEX flushes_at_work ON flushes (id) WHERE emptied_at IS NULL;

-- The item's briefing among those of its flush.
ALTER TABLE buffers ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
-- All that a wake says of its items stands in the index: it is worked out
-- without reading a hundred thousand mails.
DROP INDEX buffers_flush;
CREATE INDEX buffers_flush ON buffers (flush_id, part, sender_key, priority, at, last_at)
    WHERE flush_id IS NOT NULL;
CREATE INDEX buffers_urgent ON buffers (buffer, id) WHERE flush_id IS NULL AND priority = 1;
