//! Logs on standard error: text for people, or one JSON object a line. Values that came from outside are escaped.

use crate::config::Logging;
use env_logger::Builder;
use log::kv::{Error, Key, Value, VisitSource};
use std::io::Write;

/// Starts logging. A second call changes nothing.
pub fn start(logging: &Logging) {
    let mut builder = Builder::new();
    // async-stripe tells each request and each failure, which whoever asked tells as well; RUST_LOG=stripe=debug shows it.
    builder.filter_module("stripe", log::LevelFilter::Off);
    // actix-http tells each malformed request as an error, and anybody can send thousands a second; we count them.
    builder.filter_module("actix_http", log::LevelFilter::Off);
    builder.parse_filters(&logging.filter);
    if logging.json {
        builder.format(|out, record| {
            let mut line = Fields::default();
            line.add("time", chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
            line.add("level", record.level().as_str());
            line.add("target", record.target());
            line.add("message", record.args().to_string());
            if record.key_values().visit(&mut line).is_err() {
                line.add("log_error", "a value could not be rendered");
            }
            writeln!(out, "{}", serde_json::Value::Object(line.0))
        });
    }
    let _ = builder.try_init();
}

#[derive(Default)]
struct Fields(serde_json::Map<String, serde_json::Value>);

impl Fields {
    fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_owned(), serde_json::Value::String(value.into()));
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value =
            value.to_i64().map_or_else(|| serde_json::Value::String(value.to_string()), serde_json::Value::from);
        self.0.insert(key.as_str().to_owned(), value);
        Ok(())
    }
}
