-- What the mail server answers while it takes no mail of the shop's: told once, and shown until it is over.
ALTER TABLE destinations ADD COLUMN trouble text;
ALTER TABLE destinations ADD CONSTRAINT destinations_trouble CHECK (trouble IS NULL OR (kind = 'email' AND failing_since IS NOT NULL));
COMMENT ON COLUMN destinations.trouble IS 'Of the mail server: what it answers since it takes no mail of the shop''s, whoever it is for; none while it works.';
COMMENT ON COLUMN outbox.given_up IS 'Attempts that don''t count any more: those before a person had it tried anew, and those that failed for the shop''s own trouble with its mail server.';
