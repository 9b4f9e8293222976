-- In the sequence in which messages are claimed, to the last tie: a claim reads as many entries as it takes, however many
-- wait. Without the id each claim sorts the whole backlog.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (destination, next_at, id) WHERE state = 'queued' AND NOT held;
