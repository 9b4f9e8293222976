DROP INDEX outbox_held, outbox_dead, outbox_due, outbox_notice;
CREATE INDEX outbox_due ON outbox (next_at) WHERE state = 'queued' AND NOT held;
ALTER TABLE outbox DROP COLUMN given_up, DROP COLUMN event, DROP COLUMN notice_key, DROP COLUMN destination;
DROP TABLE destinations;
