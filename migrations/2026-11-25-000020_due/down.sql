DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (destination, next_at) WHERE state = 'queued' AND NOT held;
