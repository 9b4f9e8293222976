ALTER TABLE payloads ADD CONSTRAINT payloads_event_fkey FOREIGN KEY (event) REFERENCES events (id) ON DELETE CASCADE;
