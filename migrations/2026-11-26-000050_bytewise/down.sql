LOCK TABLE orders, order_references, outbox, events, destinations, sync_runs, gap_watch IN ACCESS EXCLUSIVE MODE;
ALTER TABLE events
    ALTER event_id TYPE text, ALTER account TYPE text, ALTER source TYPE event_source,
    ALTER object_id TYPE text, ALTER snapshot_event TYPE text;
ALTER TABLE order_references
    ALTER value TYPE text, ALTER kind TYPE reference_kind, ALTER account TYPE text,
    ALTER source TYPE text;
ALTER TABLE orders
    ALTER reference TYPE text, ALTER account TYPE text, ALTER source TYPE text;
ALTER TABLE outbox
    ALTER notice_key TYPE text, ALTER dedupe_key TYPE text, ALTER destination TYPE text;
ALTER TABLE destinations ALTER id TYPE text;
ALTER TABLE sync_runs ALTER account TYPE text;
ALTER TABLE gap_watch ALTER account TYPE text;
