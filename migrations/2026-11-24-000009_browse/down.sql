ALTER TABLE orders DROP COLUMN subscription;
DROP INDEX orders_in_review;
DROP INDEX events_received;
