ALTER TABLE destinations DROP COLUMN trouble;
COMMENT ON COLUMN outbox.given_up IS 'Attempts before a person had it tried anew: they don''t count any more.';
