-- Messages that are owed, and every attempt to deliver them.
CREATE TABLE outbox (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('email', 'slack', 'webhook')),
    notice      text        NOT NULL,
    dedupe_key  text        NOT NULL UNIQUE,
    order_id    uuid,
    about       text        NOT NULL,
    state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'dead')),
    held        boolean     NOT NULL DEFAULT false,
    waiting     boolean     NOT NULL DEFAULT false,
    attempts    integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at     timestamptz NOT NULL DEFAULT now(),
    lease       uuid,
    last_error  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz,
    CHECK ((state = 'queued') = (settled_at IS NULL)),
    CHECK (state <> 'dead' OR last_error IS NOT NULL),
    CHECK (state = 'queued' OR lease IS NULL)
) WITH (fillfactor = 70);
CREATE INDEX outbox_due ON outbox (next_at) WHERE state = 'queued' AND NOT held;
CREATE INDEX outbox_order ON outbox (order_id);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE outbox IS 'Messages that are owed: queued in the transaction that wrote their order, delivered at least once under a stable id.';
COMMENT ON COLUMN outbox.id IS 'Stable over all attempts: the Message-ID of a mail, the webhook-id of a webhook.';
COMMENT ON COLUMN outbox.kind IS 'Which way it goes: email, slack or webhook.';
COMMENT ON COLUMN outbox.notice IS 'What it tells, such as order.paid.';
COMMENT ON COLUMN outbox.dedupe_key IS 'Begins with the notice''s name and names the sender''s object: one message a key, for ever.';
COMMENT ON COLUMN outbox.order_id IS 'The order that it is rendered from, as that is at delivery.';
COMMENT ON COLUMN outbox.about IS 'The notice''s own data, as JSON.';
COMMENT ON COLUMN outbox.state IS 'queued, sent, or dead: refused for good, superseded or discarded (last_error says which).';
COMMENT ON COLUMN outbox.held IS 'True while its order is in review: it is not sent meanwhile.';
COMMENT ON COLUMN outbox.waiting IS 'True where next_at is a grace period that the arrival of the order''s reference ends.';
COMMENT ON COLUMN outbox.attempts IS 'How often delivery was tried.';
COMMENT ON COLUMN outbox.next_at IS 'Not before this, by the database''s clock; a claim moves it to the end of its lease.';
COMMENT ON COLUMN outbox.lease IS 'Token of the worker that holds it; settling is guarded by it.';
COMMENT ON COLUMN outbox.last_error IS 'The last refusal or failure.';
COMMENT ON COLUMN outbox.created_at IS 'When it was queued.';
COMMENT ON COLUMN outbox.settled_at IS 'When it was sent or given up.';

CREATE TABLE attempts (
    message_id  uuid        NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    number      integer     NOT NULL CHECK (number > 0),
    started_at  timestamptz NOT NULL,
    duration_ms integer     NOT NULL CHECK (duration_ms >= 0),
    outcome     text        NOT NULL CHECK (outcome IN ('sent', 'retry', 'refused')),
    answer      text        NOT NULL,
    PRIMARY KEY (message_id, number)
);
COMMENT ON TABLE attempts IS 'Every attempt to deliver a message, with the other side''s answer.';
COMMENT ON COLUMN attempts.message_id IS 'The message.';
COMMENT ON COLUMN attempts.number IS 'Counts from 1.';
COMMENT ON COLUMN attempts.started_at IS 'When it began.';
COMMENT ON COLUMN attempts.duration_ms IS 'How long it took, in milliseconds.';
COMMENT ON COLUMN attempts.outcome IS 'sent; retry: failed for now; refused: failed for good.';
COMMENT ON COLUMN attempts.answer IS 'What the other side said, or the error: at most 2 KiB.';
