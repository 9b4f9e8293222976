-- A thin event has another id than the snapshot that tells the same: without this the gap watch would call each snapshot
-- missed where an endpoint sends thin events alone. Only they have it, so the index costs the others nothing.
ALTER TABLE events ADD COLUMN snapshot_event text;
CREATE INDEX events_snapshot ON events (snapshot_event) WHERE snapshot_event IS NOT NULL;
COMMENT ON COLUMN events.snapshot_event IS 'Of a thin event: the id of the snapshot event that tells the same, where it names one.';

-- What /metrics says of the gap watch, whichever process it runs in.
ALTER TABLE gap_watch ADD COLUMN compared_at timestamptz,
    ADD COLUMN missed_ever bigint NOT NULL DEFAULT 0 CHECK (missed_ever >= 0),
    ADD COLUMN failures bigint NOT NULL DEFAULT 0 CHECK (failures >= 0);
UPDATE gap_watch SET compared_at = coalesce(looked_at, now());
COMMENT ON COLUMN gap_watch.compared_at IS 'When the last comparison came to its end; none before the first, which only sets the cursor.';
COMMENT ON COLUMN gap_watch.missed_ever IS 'Events that were missed and back-filled, since the first comparison.';
COMMENT ON COLUMN gap_watch.failures IS 'Comparisons that failed, since the first.';
COMMENT ON COLUMN gap_watch.reached IS 'Events before this were compared, in Stripe''s unix seconds: no later than the newest event that Stripe listed, and its second.';
COMMENT ON COLUMN gap_watch.looked_at IS 'When the last comparison ended, well or not.';
