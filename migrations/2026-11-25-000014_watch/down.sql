ALTER TABLE gap_watch DROP COLUMN compared_at, DROP COLUMN missed_ever, DROP COLUMN failures;
COMMENT ON COLUMN gap_watch.reached IS 'Events before this were compared, in Stripe''s unix seconds.';
COMMENT ON COLUMN gap_watch.looked_at IS 'When the last comparison ended.';
ALTER TABLE events DROP COLUMN snapshot_event;
