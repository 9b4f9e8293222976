-- What each event costs. This rewrites the tables: some seconds a million rows, in which senders are told to try again.
-- It does not keep the rule that the version before goes on working, since none was released: stop older processes first. A
-- view of your own on one of these columns is to be dropped before, and made again.
LOCK TABLE orders, order_references, outbox, events IN ACCESS EXCLUSIVE MODE;

-- By the id first: of a batch's events all else is mostly the same, and would be compared in vain at each step.
ALTER TABLE events DROP CONSTRAINT events_source_account_event_id_key;
ALTER TABLE events ADD CONSTRAINT events_key UNIQUE (event_id, account, source);

-- A table's CHECKs are read anew, from their stored text, for each statement that writes to it; a domain's once a session.
-- Checks of several columns stay.
CREATE DOMAIN event_source AS text CHECK (VALUE IN ('stripe', 'github', 'shop', 'stripe_api'));
CREATE DOMAIN event_state AS text CHECK (VALUE IN ('pending', 'processed', 'ignored', 'quarantined'));
CREATE DOMAIN order_status AS text CHECK (VALUE IN ('review', 'disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
    'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending'));
CREATE DOMAIN money_status AS text CHECK (VALUE IN ('disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
    'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending'));
CREATE DOMAIN amount AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN attempt_count AS integer CHECK (VALUE >= 0);
CREATE DOMAIN reference_kind AS text CHECK (VALUE IN ('object', 'label'));
CREATE DOMAIN message_kind AS text CHECK (VALUE IN ('email', 'slack', 'webhook'));
CREATE DOMAIN message_state AS text CHECK (VALUE IN ('queued', 'sent', 'dead'));
COMMENT ON DOMAIN event_source IS 'Who sends events: stripe, github, shop (expectations and releases) or stripe_api (fetched objects).';
COMMENT ON DOMAIN event_state IS 'pending: acknowledged, its order not yet written; processed; ignored; quarantined.';
COMMENT ON DOMAIN order_status IS 'What an order is.';
COMMENT ON DOMAIN money_status IS 'What an order would be if nobody had to look at it.';
COMMENT ON DOMAIN amount IS 'Money in its currency''s minor unit.';
COMMENT ON DOMAIN attempt_count IS 'How often something was tried.';
COMMENT ON DOMAIN reference_kind IS 'object: an id given by Stripe; label: a reference given by the shop.';
COMMENT ON DOMAIN message_kind IS 'Which way a message goes.';
COMMENT ON DOMAIN message_state IS 'queued, sent, or dead: refused for good, superseded or discarded.';

ALTER TABLE events
    DROP CONSTRAINT events_source_check, DROP CONSTRAINT events_state_check,
    ALTER source TYPE event_source, ALTER state TYPE event_state;
ALTER TABLE orders
    DROP CONSTRAINT orders_status_check, DROP CONSTRAINT orders_money_status_check, DROP CONSTRAINT orders_amount_paid_check,
    DROP CONSTRAINT orders_amount_refunded_check, DROP CONSTRAINT orders_amount_lost_check,
    ALTER status TYPE order_status, ALTER money_status TYPE money_status, ALTER amount_paid TYPE amount,
    ALTER amount_refunded TYPE amount, ALTER amount_lost TYPE amount;
ALTER TABLE order_references DROP CONSTRAINT order_references_kind_check, ALTER kind TYPE reference_kind;
ALTER TABLE outbox
    DROP CONSTRAINT outbox_kind_check, DROP CONSTRAINT outbox_state_check, DROP CONSTRAINT outbox_attempts_check,
    DROP CONSTRAINT outbox_given_up_check,
    ALTER kind TYPE message_kind, ALTER state TYPE message_state, ALTER attempts TYPE attempt_count, ALTER given_up TYPE attempt_count;
