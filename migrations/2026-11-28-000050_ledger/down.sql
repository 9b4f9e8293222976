DROP INDEX orders_subscription;
ALTER TABLE orders ALTER subscription TYPE text;
