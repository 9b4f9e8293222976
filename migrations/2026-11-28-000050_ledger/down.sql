DROP INDEX orders_subscription;
