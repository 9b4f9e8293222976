DROP TABLE attempts;
DROP TABLE outbox;
