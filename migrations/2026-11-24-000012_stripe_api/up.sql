-- What is asked of Stripe rather than heard from it: objects that thin events name, and events that were missed.
ALTER TABLE pending ADD COLUMN to_fetch boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pending.to_fetch IS 'True where the event only names an object, which is to be fetched from Stripe first.';
DROP INDEX pending_due;
CREATE INDEX pending_due ON pending (to_fetch, next_at);

CREATE TABLE sync_runs (
    account     text    NOT NULL,
    livemode    boolean NOT NULL,
    only_failed boolean NOT NULL,
    since       bigint  NOT NULL,
    reached     bigint  NOT NULL,
    PRIMARY KEY (account, livemode, only_failed),
    CHECK (reached >= since)
);
COMMENT ON TABLE sync_runs IS 'Back-fills that were cut off: the next one goes on from there. A row vanishes when its back-fill ends.';
COMMENT ON COLUMN sync_runs.account IS 'Connected account; empty is our own.';
COMMENT ON COLUMN sync_runs.livemode IS 'Real money (true) or a test (false).';
COMMENT ON COLUMN sync_runs.only_failed IS 'True where only events are wanted that an endpoint did not take.';
COMMENT ON COLUMN sync_runs.since IS 'Events from here on were compared, in Stripe''s unix seconds.';
COMMENT ON COLUMN sync_runs.reached IS 'Events before this were compared, in Stripe''s unix seconds.';

CREATE TABLE gap_watch (
    account     text        NOT NULL,
    livemode    boolean     NOT NULL,
    reached     bigint      NOT NULL,
    next_at     timestamptz NOT NULL DEFAULT now(),
    lease       uuid,
    looked_at   timestamptz,
    missed      bigint      NOT NULL DEFAULT 0 CHECK (missed >= 0),
    missed_from bigint,
    told_at     timestamptz,
    PRIMARY KEY (account, livemode),
    CHECK ((missed = 0) = (missed_from IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE gap_watch IS 'How far Stripe''s list of events was compared with the inbox: one row an account and mode, one process at a time.';
COMMENT ON COLUMN gap_watch.account IS 'Connected account; empty is our own.';
COMMENT ON COLUMN gap_watch.livemode IS 'Real money (true) or a test (false).';
COMMENT ON COLUMN gap_watch.reached IS 'Events before this were compared, in Stripe''s unix seconds.';
COMMENT ON COLUMN gap_watch.next_at IS 'Not before this; a claim moves it to the end of its lease.';
COMMENT ON COLUMN gap_watch.lease IS 'Token of the process that compares; moving on is guarded by it.';
COMMENT ON COLUMN gap_watch.looked_at IS 'When the last comparison ended.';
COMMENT ON COLUMN gap_watch.missed IS 'Events that were missed and back-filled, of which nobody was told yet.';
COMMENT ON COLUMN gap_watch.missed_from IS 'The oldest of them, in Stripe''s unix seconds.';
COMMENT ON COLUMN gap_watch.told_at IS 'When somebody was last told.';
