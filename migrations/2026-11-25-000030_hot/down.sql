ALTER TABLE events DROP CONSTRAINT events_key;
ALTER TABLE events ADD CONSTRAINT events_source_account_event_id_key UNIQUE (source, account, event_id);

ALTER TABLE events
    ALTER source TYPE text, ALTER state TYPE text,
    ADD CONSTRAINT events_source_check CHECK (source IN ('stripe', 'github', 'shop', 'stripe_api')),
    ADD CONSTRAINT events_state_check CHECK (state IN ('pending', 'processed', 'ignored', 'quarantined'));
ALTER TABLE orders
    ALTER status TYPE text, ALTER money_status TYPE text, ALTER amount_paid TYPE bigint,
    ALTER amount_refunded TYPE bigint, ALTER amount_lost TYPE bigint,
    ADD CONSTRAINT orders_status_check CHECK (status IN ('review', 'disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
        'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending')),
    ADD CONSTRAINT orders_money_status_check CHECK (money_status IN ('disputed', 'lost', 'refunded', 'partially_refunded', 'paid',
        'partially_paid', 'authorized', 'awaiting_funds', 'requires_action', 'failed', 'canceled', 'expired', 'pending')),
    ADD CONSTRAINT orders_amount_paid_check CHECK (amount_paid >= 0),
    ADD CONSTRAINT orders_amount_refunded_check CHECK (amount_refunded >= 0),
    ADD CONSTRAINT orders_amount_lost_check CHECK (amount_lost >= 0);
ALTER TABLE order_references
    ALTER kind TYPE text, ADD CONSTRAINT order_references_kind_check CHECK (kind IN ('object', 'label'));
ALTER TABLE outbox
    ALTER kind TYPE text, ALTER state TYPE text, ALTER attempts TYPE integer, ALTER given_up TYPE integer,
    ADD CONSTRAINT outbox_attempts_check CHECK (attempts >= 0),
    ADD CONSTRAINT outbox_given_up_check CHECK (given_up >= 0),
    ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('email', 'slack', 'webhook')),
    ADD CONSTRAINT outbox_state_check CHECK (state IN ('queued', 'sent', 'dead'));

DROP DOMAIN event_source, event_state, money_status, order_status, amount, attempt_count, reference_kind, message_kind, message_state;
