DROP TABLE pending;
DROP TABLE payloads;
DROP TABLE events;
