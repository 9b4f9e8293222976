ALTER TABLE events DROP COLUMN snapshot_event;
