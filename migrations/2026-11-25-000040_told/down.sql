ALTER TABLE outbox ADD CONSTRAINT outbox_dedupe_key_key UNIQUE (dedupe_key);
ALTER TABLE outbox DROP CONSTRAINT outbox_told;
ALTER TABLE outbox DROP COLUMN notice_key;
ALTER TABLE outbox ADD COLUMN notice_key text NOT NULL GENERATED ALWAYS AS
    (CASE destination WHEN 'mail' THEN dedupe_key ELSE left(dedupe_key, -1 - length(destination)) END) STORED;
CREATE INDEX outbox_notice ON outbox (notice_key);
COMMENT ON COLUMN outbox.notice_key IS 'The dedupe key without the destination: what the notice is called everywhere.';
COMMENT ON COLUMN outbox.dedupe_key IS 'The notice''s name and the sender''s object, then @ and the destination unless that is mail: one message a key, for ever.';
