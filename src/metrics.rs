//! What the receiver counts, in Prometheus' terms.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Labels of a webhook's answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Received {
    /// `stripe`
    pub source: &'static str,
    /// `accepted`, `duplicate`, `ignored`, or the code of the error.
    pub answer: &'static str,
}

/// Labels of an attempt to deliver a message.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Delivery {
    /// `email`, `slack` or `webhook`
    pub kind: String,
    /// `sent`; `retry`: tried again later; `dead`: given up
    pub outcome: &'static str,
}

/// Label of a message.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct InState {
    /// `queued`, `held` or `dead`
    pub state: &'static str,
}

/// Label of an event that is pending.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WaitsFor {
    /// `order`: to be applied; `object`: what it names is to be fetched first
    pub waits_for: &'static str,
}

/// Label of a signing secret: its place in the configuration, never its value.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SecretUsed {
    /// 0 is the newest.
    pub position: u32,
}

/// Labels of a configured signing secret.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SecretHeld {
    /// 0 is the newest.
    pub position: u32,
    /// Tells one secret from another, and none of them.
    pub fingerprint: String,
}

/// Label of the gap watch.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Watched {
    /// Connected account; empty is our own.
    pub account: String,
    /// `live` or `test`
    pub mode: &'static str,
}

/// All of them. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// Webhook requests by their answer.
    pub received: Family<Received, Counter>,
    /// Requests that were no HTTP.
    pub malformed: Counter,
    /// The signing secrets that this process was started with; each is 1.
    pub secrets_held: Family<SecretHeld, Gauge>,
    /// Verified requests by the secret that signed them: an old one that stays at rest can be removed.
    pub secrets: Family<SecretUsed, Counter>,
    /// When each secret last signed a verified request, in unix seconds; absent where it has not since the start.
    pub secrets_last_used: Family<SecretUsed, Gauge>,
    /// From the complete request to its answer, in seconds.
    pub answer_seconds: Histogram,
    /// Events that wait for the writer.
    pub queue_depth: Gauge,
    /// Bytes of bodies in memory.
    pub bytes_in_flight: Gauge,
    /// Attempts to deliver messages, by how they ended.
    pub deliveries: Family<Delivery, Counter>,
    /// Messages that wait or were given up, as the database has them.
    pub messages: Family<InState, Gauge>,
    /// Events that were acknowledged and not applied yet, as the database has them.
    pub events_pending: Family<WaitsFor, Gauge>,
    /// Events that did not reach us and were fetched by the gap watch, as the database has it.
    pub events_missed: Family<Watched, Counter>,
    /// When the gap watch last came to its end, in unix seconds, as the database has it.
    pub watch_compared: Family<Watched, Gauge>,
    /// Comparisons that failed, as the database has it.
    pub watch_failures: Family<Watched, Counter>,
    /// Writers that were left behind stuck in the database.
    pub writers_abandoned: Gauge,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ringup");
        let received = Family::default();
        registry.register("webhooks", "Webhook requests by their answer", received.clone());
        let malformed = Counter::default();
        registry.register("malformed_requests", "Requests that were no HTTP, and were refused", malformed.clone());
        let secrets_held = Family::default();
        registry.register(
            "signing_secret",
            "The configured signing secrets by position, each with a fingerprint",
            secrets_held.clone(),
        );
        let secrets = Family::default();
        registry.register(
            "signing_secret_used",
            "Verified requests by the position of their signing secret",
            secrets.clone(),
        );
        let secrets_last_used = Family::default();
        registry.register(
            "signing_secret_last_used_seconds",
            "When the signing secret at this position last signed a verified request, in unix seconds",
            secrets_last_used.clone(),
        );
        let started = Gauge::<i64>::default();
        started.set(chrono::Utc::now().timestamp());
        registry.register("start_time_seconds", "When this process started, in unix seconds", started);
        let answer_seconds = Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0]);
        registry.register("answer_seconds", "From the complete request to its answer", answer_seconds.clone());
        let queue_depth = Gauge::default();
        registry.register("intake_queue", "Events that wait for the writer", queue_depth.clone());
        let bytes_in_flight = Gauge::default();
        registry.register("bytes_in_flight", "Bytes of bodies in memory", bytes_in_flight.clone());
        let deliveries = Family::default();
        registry.register("deliveries", "Attempts to deliver messages, by how they ended", deliveries.clone());
        let messages = Family::default();
        registry.register(
            "messages",
            "Messages that wait for their time (queued), for a person (held), or were given up (dead)",
            messages.clone(),
        );
        let events_pending = Family::default();
        registry.register(
            "events_pending",
            "Events that wait for their order to be written (order), or for the object that they name to be fetched (object)",
            events_pending.clone(),
        );
        let events_missed = Family::default();
        registry.register("events_missed", "Events that did not reach us and were fetched", events_missed.clone());
        let watch_compared = Family::default();
        registry.register(
            "gap_watch_compared_seconds",
            "When Stripe's list of events was last compared with the inbox to its end, in unix seconds",
            watch_compared.clone(),
        );
        let watch_failures = Family::default();
        registry.register("gap_watch_failures", "Comparisons with Stripe's list that failed", watch_failures.clone());
        let writers_abandoned = Gauge::default();
        registry.register("writers_abandoned", "Writers stuck in the database", writers_abandoned.clone());
        Self {
            received,
            malformed,
            secrets_held,
            secrets,
            secrets_last_used,
            answer_seconds,
            queue_depth,
            bytes_in_flight,
            deliveries,
            messages,
            events_pending,
            events_missed,
            watch_compared,
            watch_failures,
            writers_abandoned,
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// Takes over what the database has of the gap watch, which may run in another process.
    pub fn watch(&self, of: &Watched, compared: Option<i64>, missed: i64, failures: i64) {
        let total = |family: &Family<Watched, Counter>, number: i64| {
            family.get_or_create(of).inner().store(u64::try_from(number).unwrap_or(0), Ordering::Relaxed);
        };
        total(&self.events_missed, missed);
        total(&self.watch_failures, failures);
        if let Some(at) = compared {
            self.watch_compared.get_or_create(of).set(at);
        }
    }

    /// The text that a scraper reads.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
