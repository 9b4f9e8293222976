-- What mails show of an order beyond its amounts.
ALTER TABLE orders ADD COLUMN renewal boolean NOT NULL DEFAULT false, ADD COLUMN line_items json;
COMMENT ON COLUMN orders.renewal IS 'What it brought in is a subscription''s renewal.';
COMMENT ON COLUMN orders.line_items IS 'What was bought, where the shop registered it: description, quantity, and the amount in the minor unit.';
