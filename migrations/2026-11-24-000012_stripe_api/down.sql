DROP TABLE gap_watch;
DROP TABLE sync_runs;
DROP INDEX pending_due;
ALTER TABLE pending DROP COLUMN to_fetch;
CREATE INDEX pending_due ON pending (next_at);
