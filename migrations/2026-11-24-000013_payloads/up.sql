-- A body is written in the statement after its event, in one transaction, and events are kept for good: the foreign key
-- only cost a lookup and a row lock on `events` for each body.
ALTER TABLE payloads DROP CONSTRAINT payloads_event_fkey;
