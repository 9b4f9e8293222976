-- For people and replays that look at what is stored; both indexes cost the hot path next to nothing.
-- Block ranges: one entry a megabyte, since events arrive in the sequence of their rows.
CREATE INDEX events_received ON events USING brin (received_at);
-- On the reasons and not on the status: a write that leaves the reasons as they are stays a heap-only update.
CREATE INDEX orders_in_review ON orders (id) WHERE review_reasons <> '{}';

ALTER TABLE orders ADD COLUMN subscription text;
COMMENT ON COLUMN orders.subscription IS 'The subscription whose invoice this order is.';
