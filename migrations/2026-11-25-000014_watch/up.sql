-- A thin event has another id than the snapshot that tells the same: without this the gap watch would call each snapshot
-- missed where an endpoint sends thin events alone. Only they have it, so the index costs the others nothing.
ALTER TABLE events ADD COLUMN snapshot_event text;
CREATE INDEX events_snapshot ON events (snapshot_event) WHERE snapshot_event IS NOT NULL;
COMMENT ON COLUMN events.snapshot_event IS 'Of a thin event: the id of the snapshot event that tells the same, where it names one.';
