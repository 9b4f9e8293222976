//! The tables, as diesel sees them. A test compares this page with the migrated database, column by column.

#![allow(missing_docs)]

diesel::table! {
    events (id) {
        id -> BigInt,
        source -> Text,
        account -> Text,
        event_id -> Text,
        livemode -> Bool,
        #[sql_name = "type"]
        type_ -> Text,
        api_version -> Nullable<Text>,
        created -> Nullable<BigInt>,
        object_id -> Nullable<Text>,
        body_crc32 -> BigInt,
        state -> Text,
        reason -> Nullable<Text>,
        received_at -> Timestamptz,
        snapshot_event -> Nullable<Text>,
    }
}

diesel::table! {
    payloads (event) {
        event -> BigInt,
        body -> Bytea,
    }
}

diesel::table! {
    pending (event) {
        event -> BigInt,
        tries -> Integer,
        next_at -> Timestamptz,
        lease -> Nullable<Uuid>,
        last_error -> Nullable<Text>,
        to_fetch -> Bool,
    }
}

diesel::table! {
    orders (id) {
        id -> Uuid,
        source -> Text,
        account -> Text,
        livemode -> Bool,
        reference -> Text,
        status -> Text,
        money_status -> Text,
        review_reasons -> Array<Text>,
        currency -> Nullable<Text>,
        amount_expected -> Nullable<BigInt>,
        amount_paid -> BigInt,
        amount_refunded -> BigInt,
        amount_lost -> BigInt,
        customer_email -> Nullable<Text>,
        customer_name -> Nullable<Text>,
        locale -> Nullable<Text>,
        facts -> Text,
        version -> BigInt,
        moved -> Bool,
        merged_into -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        subscription -> Nullable<Text>,
        renewal -> Bool,
        line_items -> Nullable<Json>,
    }
}

diesel::table! {
    order_references (value, kind, account, livemode, source) {
        source -> Text,
        account -> Text,
        livemode -> Bool,
        kind -> Text,
        value -> Text,
        order_id -> Uuid,
    }
}

diesel::table! {
    outbox (id) {
        id -> Uuid,
        kind -> Text,
        notice -> Text,
        dedupe_key -> Text,
        order_id -> Nullable<Uuid>,
        about -> Text,
        state -> Text,
        held -> Bool,
        waiting -> Bool,
        attempts -> Integer,
        next_at -> Timestamptz,
        lease -> Nullable<Uuid>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
        destination -> Text,
        notice_key -> Text,
        event -> Nullable<BigInt>,
        given_up -> Integer,
    }
}

diesel::table! {
    attempts (message_id, number) {
        message_id -> Uuid,
        number -> Integer,
        started_at -> Timestamptz,
        duration_ms -> Integer,
        outcome -> Text,
        answer -> Text,
    }
}

diesel::table! {
    destinations (id) {
        id -> Text,
        kind -> Text,
        url -> Nullable<Text>,
        events -> Array<Text>,
        repository -> Nullable<Text>,
        #[sql_name = "ref"]
        git_ref -> Nullable<Text>,
        relay -> Bool,
        secret -> Nullable<Text>,
        previous_secret -> Nullable<Text>,
        previous_until -> Nullable<Timestamptz>,
        state -> Text,
        reason -> Nullable<Text>,
        failing_since -> Nullable<Timestamptz>,
        next_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        trouble -> Nullable<Text>,
    }
}

diesel::table! {
    gap_watch (account, livemode) {
        account -> Text,
        livemode -> Bool,
        reached -> BigInt,
        next_at -> Timestamptz,
        lease -> Nullable<Uuid>,
        looked_at -> Nullable<Timestamptz>,
        missed -> BigInt,
        missed_from -> Nullable<BigInt>,
        told_at -> Nullable<Timestamptz>,
        compared_at -> Nullable<Timestamptz>,
        missed_ever -> BigInt,
        failures -> BigInt,
    }
}

diesel::table! {
    sync_runs (account, livemode, only_failed) {
        account -> Text,
        livemode -> Bool,
        only_failed -> Bool,
        since -> BigInt,
        reached -> BigInt,
    }
}

diesel::joinable!(payloads -> events (event));
diesel::joinable!(pending -> events (event));
diesel::joinable!(attempts -> outbox (message_id));
diesel::allow_tables_to_appear_in_same_query!(
    events,
    payloads,
    pending,
    orders,
    order_references,
    outbox,
    attempts,
    destinations,
    gap_watch,
    sync_runs
);
