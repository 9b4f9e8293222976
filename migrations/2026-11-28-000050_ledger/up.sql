-- Whether an order is a subscription's first payment is asked of its other invoices when its mail is written. Keys are
-- compared as bytes; no row is rewritten for that.
ALTER TABLE orders ALTER subscription TYPE text COLLATE "C";
CREATE INDEX orders_subscription ON orders (subscription) WHERE subscription IS NOT NULL;
