-- Where messages go: the mail server, the team's Slack, and whoever subscribed.
CREATE TABLE destinations (
    id              text        PRIMARY KEY,
    kind            text        NOT NULL CHECK (kind IN ('email', 'slack', 'webhook')),
    url             text,
    events          text[]      NOT NULL CHECK (cardinality(events) > 0),
    repository      text,
    ref             text,
    relay           boolean     NOT NULL DEFAULT false,
    secret          text,
    previous_secret text,
    previous_until  timestamptz,
    state           text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled', 'deleted')),
    reason          text,
    failing_since   timestamptz,
    next_at         timestamptz NOT NULL DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (kind <> 'webhook' OR state = 'deleted' OR (secret IS NOT NULL AND url IS NOT NULL)),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CHECK ((state = 'disabled') = (reason IS NOT NULL))
);
INSERT INTO destinations (id, kind, events) VALUES ('mail', 'email', '{*}');

COMMENT ON TABLE destinations IS 'Where messages go. The row mail stands for the mail server, slack for SLACK_WEBHOOK_URL; the others are subscriptions.';
COMMENT ON COLUMN destinations.id IS 'mail, slack, or sub_ and a UUID.';
COMMENT ON COLUMN destinations.kind IS 'Which way messages go there: email, slack or webhook.';
COMMENT ON COLUMN destinations.url IS 'Where to; none where the configuration says it.';
COMMENT ON COLUMN destinations.events IS 'The notices that it hears of: names, or families such as order.*, or *.';
COMMENT ON COLUMN destinations.repository IS 'Of GitHub''s events only those of this repository, as owner/name.';
COMMENT ON COLUMN destinations.ref IS 'Of GitHub''s events only those of this ref, such as refs/heads/main.';
COMMENT ON COLUMN destinations.relay IS 'GitHub''s events go there as GitHub sent them, with its body and its signature.';
COMMENT ON COLUMN destinations.secret IS 'Signs the webhooks that go there (whsec_…).';
COMMENT ON COLUMN destinations.previous_secret IS 'Signs them, too, until previous_until.';
COMMENT ON COLUMN destinations.previous_until IS 'When the previous secret ends.';
COMMENT ON COLUMN destinations.state IS 'active; paused: messages are queued and wait; disabled: nothing is queued until a person resumes it; deleted.';
COMMENT ON COLUMN destinations.reason IS 'Why it was disabled.';
COMMENT ON COLUMN destinations.failing_since IS 'The first failure after the last success; none while it works.';
COMMENT ON COLUMN destinations.next_at IS 'Nothing goes there before this: Slack takes one message a second, and some answers ask for a pause.';
COMMENT ON COLUMN destinations.created_at IS 'When it was registered.';
COMMENT ON COLUMN destinations.updated_at IS 'When a person last changed it, or it was disabled.';

ALTER TABLE outbox ADD COLUMN destination text NOT NULL DEFAULT 'mail';
ALTER TABLE outbox ADD COLUMN notice_key text NOT NULL GENERATED ALWAYS AS
    (CASE destination WHEN 'mail' THEN dedupe_key ELSE left(dedupe_key, -1 - length(destination)) END) STORED;
ALTER TABLE outbox ADD COLUMN event bigint;
ALTER TABLE outbox ADD COLUMN given_up integer NOT NULL DEFAULT 0 CHECK (given_up >= 0);
COMMENT ON COLUMN outbox.destination IS 'Where it goes: a row of destinations.';
COMMENT ON COLUMN outbox.notice_key IS 'The dedupe key without the destination: what the notice is called everywhere.';
COMMENT ON COLUMN outbox.event IS 'The received event that it passes on, where it is about no order.';
COMMENT ON COLUMN outbox.given_up IS 'Attempts before a person had it tried anew: they don''t count any more.';
COMMENT ON COLUMN outbox.dedupe_key IS 'The notice''s name and the sender''s object, then @ and the destination unless that is mail: one message a key, for ever.';
COMMENT ON COLUMN outbox.waiting IS 'True where next_at is a grace period that the arrival of the order''s reference ends; it stays where the message went out before.';

CREATE INDEX outbox_notice ON outbox (notice_key);
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (destination, next_at) WHERE state = 'queued' AND NOT held;
CREATE INDEX outbox_dead ON outbox (settled_at) WHERE state = 'dead';
CREATE INDEX outbox_held ON outbox (next_at) WHERE state = 'queued' AND held;
