-- What was received, once. `events` is narrow and keeps its key for good; the raw bytes stand beside it in `payloads`,
-- so that they can be dropped or partitioned later without touching what tells duplicates apart.
CREATE TABLE events (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text        NOT NULL CHECK (source IN ('stripe', 'github', 'shop', 'stripe_api')),
    account     text        NOT NULL,
    event_id    text        NOT NULL CHECK (event_id <> ''),
    livemode    boolean     NOT NULL,
    type        text        NOT NULL,
    api_version text,
    created     bigint,
    object_id   text,
    body_crc32  bigint      NOT NULL,
    state       text        NOT NULL CHECK (state IN ('pending', 'processed', 'ignored', 'quarantined')),
    reason      text,
    received_at timestamptz NOT NULL,
    UNIQUE (source, account, event_id),
    CHECK ((state IN ('ignored', 'quarantined')) = (reason IS NOT NULL))
);
CREATE INDEX events_object ON events (object_id, id) WHERE object_id IS NOT NULL;
CREATE INDEX events_unusable ON events (id) WHERE state <> 'processed';

COMMENT ON TABLE events IS 'Every event that was answered 2xx, once. The raw bytes are in payloads.';
COMMENT ON COLUMN events.id IS 'The order of storing; cursor of lists.';
COMMENT ON COLUMN events.source IS 'Who sent it: stripe, github, shop (expectations and releases) or stripe_api (fetched objects).';
COMMENT ON COLUMN events.account IS 'Connected account of the sender; empty is our own.';
COMMENT ON COLUMN events.event_id IS 'The sender''s id: the key that tells a duplicate. sha256:… of it where it cannot be stored as it is.';
COMMENT ON COLUMN events.livemode IS 'Real money (true) or a test (false).';
COMMENT ON COLUMN events.type IS 'The sender''s event type, such as payment_intent.succeeded.';
COMMENT ON COLUMN events.api_version IS 'API version that the sender rendered the body with.';
COMMENT ON COLUMN events.created IS 'When the sender says that it happened, in Unix seconds; never used alone to order anything.';
COMMENT ON COLUMN events.object_id IS 'Id of the object that the event is about; with order_references it finds an order''s events.';
COMMENT ON COLUMN events.body_crc32 IS 'CRC-32 of the raw body, to notice the same id with another body.';
COMMENT ON COLUMN events.state IS 'pending: acknowledged, its order not yet written; processed; ignored; quarantined.';
COMMENT ON COLUMN events.reason IS 'Why it is ignored or quarantined.';
COMMENT ON COLUMN events.received_at IS 'When the request was complete, by the receiver''s clock.';

CREATE TABLE payloads (
    event      bigint NOT NULL PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    body       bytea  NOT NULL
);
ALTER TABLE payloads ALTER COLUMN body SET COMPRESSION lz4;
COMMENT ON TABLE payloads IS 'The raw bytes of an event, exactly as they were signed.';
COMMENT ON COLUMN payloads.event IS 'The event whose bytes these are.';
COMMENT ON COLUMN payloads.body IS 'The body as received.';

CREATE TABLE pending (
    event      bigint      NOT NULL PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    tries      integer     NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_at    timestamptz NOT NULL DEFAULT now(),
    lease      uuid,
    last_error text
);
CREATE INDEX pending_due ON pending (next_at);
ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE pending IS 'Events that were acknowledged before their order could be written; a row vanishes when its event is done.';
COMMENT ON COLUMN pending.event IS 'The event that waits.';
COMMENT ON COLUMN pending.tries IS 'How often a worker has claimed it.';
COMMENT ON COLUMN pending.next_at IS 'Not before this; a claim moves it to the end of its lease.';
COMMENT ON COLUMN pending.lease IS 'Token of the worker that holds it; settling is guarded by it.';
COMMENT ON COLUMN pending.last_error IS 'Why the last try failed.';
