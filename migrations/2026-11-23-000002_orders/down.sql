DROP TABLE order_references;
DROP TABLE orders;
