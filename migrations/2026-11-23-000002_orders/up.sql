-- The order records: each is derived from its facts, which are merged from its events.
CREATE TABLE orders (
    id              uuid        PRIMARY KEY,
    source          text        NOT NULL,
    account         text        NOT NULL,
    livemode        boolean     NOT NULL,
    reference       text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('review', 'disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
                        'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending')),
    money_status    text        NOT NULL CHECK (money_status IN ('disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
                        'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending')),
    review_reasons  text[]      NOT NULL DEFAULT '{}',
    currency        text,
    amount_expected bigint,
    amount_paid     bigint      NOT NULL DEFAULT 0 CHECK (amount_paid >= 0),
    amount_refunded bigint      NOT NULL DEFAULT 0 CHECK (amount_refunded >= 0),
    amount_lost     bigint      NOT NULL DEFAULT 0 CHECK (amount_lost >= 0),
    customer_email  text,
    customer_name   text,
    locale          text,
    facts           text        NOT NULL,
    version         bigint      NOT NULL DEFAULT 1,
    moved           boolean     NOT NULL DEFAULT false,
    merged_into     uuid        REFERENCES orders (id),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (merged_into IS NOT NULL OR (status = 'review') = (cardinality(review_reasons) > 0))
) WITH (fillfactor = 60);
ALTER TABLE orders ALTER COLUMN facts SET COMPRESSION lz4;
CREATE INDEX orders_reference ON orders (reference);

COMMENT ON TABLE orders IS 'One row an order: a pure function of the set of its events (facts), written under its row lock.';
COMMENT ON COLUMN orders.id IS 'Our own id; rows are locked in its order.';
COMMENT ON COLUMN orders.source IS 'Whose ids the order is known by: stripe.';
COMMENT ON COLUMN orders.account IS 'Connected account; empty is our own.';
COMMENT ON COLUMN orders.livemode IS 'Real money (true) or a test (false); the two never mix.';
COMMENT ON COLUMN orders.reference IS 'The shop''s reference, else the payment intent, invoice or session.';
COMMENT ON COLUMN orders.status IS 'What the order is: money_status, or review where a person must look.';
COMMENT ON COLUMN orders.money_status IS 'What happened to the money, whatever is under review.';
COMMENT ON COLUMN orders.review_reasons IS 'Why the order is in review; empty where it is not.';
COMMENT ON COLUMN orders.currency IS 'Lower-case ISO code of the amounts.';
COMMENT ON COLUMN orders.amount_expected IS 'What the shop or the checkout expects, in the currency''s minor unit.';
COMMENT ON COLUMN orders.amount_paid IS 'What was paid, in the minor unit.';
COMMENT ON COLUMN orders.amount_refunded IS 'What was given back, in the minor unit.';
COMMENT ON COLUMN orders.amount_lost IS 'What was lost in disputes, in the minor unit.';
COMMENT ON COLUMN orders.customer_email IS 'Where the customer''s mails go; null while no usable address is known.';
COMMENT ON COLUMN orders.customer_name IS 'The customer''s name, as given.';
COMMENT ON COLUMN orders.locale IS 'The checkout''s locale, such as de or pt-BR.';
COMMENT ON COLUMN orders.facts IS 'The merged facts, as JSON: all that the columns are derived from.';
COMMENT ON COLUMN orders.version IS 'Grows with each write; receivers of webhooks may drop the lower.';
COMMENT ON COLUMN orders.moved IS 'True once a reference has left this order: then references are read again after locking.';
COMMENT ON COLUMN orders.merged_into IS 'The order that took over all that this one had.';
COMMENT ON COLUMN orders.created_at IS 'When the row was first written.';
COMMENT ON COLUMN orders.updated_at IS 'When the row was last written.';

CREATE TABLE order_references (
    source     text    NOT NULL,
    account    text    NOT NULL,
    livemode   boolean NOT NULL,
    kind       text    NOT NULL CHECK (kind IN ('object', 'label')),
    value      text    NOT NULL,
    order_id   uuid    NOT NULL,
    PRIMARY KEY (value, kind, account, livemode, source)
) WITH (fillfactor = 80);
CREATE INDEX order_references_order ON order_references (order_id);
COMMENT ON TABLE order_references IS 'Every name by which an order is found: Stripe''s ids and the shop''s labels.';
COMMENT ON COLUMN order_references.source IS 'Whose name it is: stripe.';
COMMENT ON COLUMN order_references.account IS 'Connected account; empty is our own.';
COMMENT ON COLUMN order_references.livemode IS 'Real money (true) or a test (false).';
COMMENT ON COLUMN order_references.kind IS 'object: an id given by Stripe; label: a reference given by the shop.';
COMMENT ON COLUMN order_references.value IS 'The name.';
COMMENT ON COLUMN order_references.order_id IS 'The order that answers to it. No foreign key: it is written before the order, in the same transaction.';
