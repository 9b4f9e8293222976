-- One message a notice and destination: said by their own key, which also finds a notice's messages, in place of two indexes.
-- The notice's name is written as it is known; cut out of another column, it would be prepared anew for each statement.
-- As with the migration before: stop older processes first, none was released.
LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
ALTER TABLE outbox ALTER notice_key DROP EXPRESSION;
ALTER TABLE outbox ADD CONSTRAINT outbox_told UNIQUE (notice_key, destination);
ALTER TABLE outbox DROP CONSTRAINT outbox_dedupe_key_key;
DROP INDEX outbox_notice;
COMMENT ON COLUMN outbox.notice_key IS 'What the notice is called everywhere: its name and the sender''s object. Each destination has one message of it, for ever.';
COMMENT ON COLUMN outbox.dedupe_key IS 'The notice_key, then @ and the destination unless that is mail: what a message is called where people read it.';
