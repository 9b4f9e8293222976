ALTER TABLE orders DROP COLUMN line_items, DROP COLUMN renewal;
