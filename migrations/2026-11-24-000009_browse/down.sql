DROP INDEX orders_in_review;
DROP INDEX events_received;
