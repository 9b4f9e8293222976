-- Whether an order is a subscription's first payment is asked of its other invoices when its mail is written.
CREATE INDEX orders_subscription ON orders (subscription) WHERE subscription IS NOT NULL;
