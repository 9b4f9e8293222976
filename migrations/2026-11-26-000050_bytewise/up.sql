-- Keys are compared as bytes. Nobody reads them in a language's order, and a language's rules cost nearly as much as all else that an
-- insert does; where the system's rules change with an update, an index in their order no longer finds what it holds, and lets a
-- key in twice. This builds the indexes anew: some seconds a million rows. No table is rewritten.
-- As with the migrations before: stop older processes first, none was released.
LOCK TABLE orders, order_references, outbox, events, destinations, sync_runs, gap_watch IN ACCESS EXCLUSIVE MODE;
ALTER TABLE events
    ALTER event_id TYPE text COLLATE "C", ALTER account TYPE text COLLATE "C", ALTER source TYPE event_source COLLATE "C",
    ALTER object_id TYPE text COLLATE "C", ALTER snapshot_event TYPE text COLLATE "C";
ALTER TABLE order_references
    ALTER value TYPE text COLLATE "C", ALTER kind TYPE reference_kind COLLATE "C", ALTER account TYPE text COLLATE "C",
    ALTER source TYPE text COLLATE "C";
ALTER TABLE orders
    ALTER reference TYPE text COLLATE "C", ALTER account TYPE text COLLATE "C", ALTER source TYPE text COLLATE "C";
ALTER TABLE outbox
    ALTER notice_key TYPE text COLLATE "C", ALTER dedupe_key TYPE text COLLATE "C", ALTER destination TYPE text COLLATE "C";
ALTER TABLE destinations ALTER id TYPE text COLLATE "C";
ALTER TABLE sync_runs ALTER account TYPE text COLLATE "C";
ALTER TABLE gap_watch ALTER account TYPE text COLLATE "C";
