//! Stripe's own command line, fed by a fake of its session endpoint: what it forwards, and what it was answered.

use super::server::{SECRET, signed};
use super::stripe::{FakeStripe, KEY};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Pinned, since the protocol is nowhere promised.
const PACKAGE: &str = "@stripe/cli@1.52.0";

/// `stripe listen`, forwarding to a receiver.
pub struct StripeCli {
    socket: WebSocketStream<TcpStream>,
    _process: tokio::process::Child,
    _home: tempfile::TempDir,
}

impl StripeCli {
    /// Starts it with `--all-snapshot` or `--all-thin`, and waits until it listens; none where npm is missing.
    pub async fn listen(events: &str, to: &str) -> Option<Self> {
        let packages = super::npm::packages("stripe-cli", &[PACKAGE])?;
        let programs = std::fs::read_dir(packages.join("node_modules/@stripe")).unwrap();
        let programs = programs.map(|entry| entry.unwrap().path().join("bin/stripe"));
        let program = programs.into_iter().find(|path| path.is_file()).unwrap();
        let (stripe, home) = (FakeStripe::start(), tempfile::tempdir().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        stripe.state().session = Some(json!({
            "websocket_id": "cliws_1", "websocket_url": format!("wss://{}", listener.local_addr().unwrap()),
            "websocket_authorized_feature": "webhooks", "secret": SECRET, "reconnect_delay": 1,
            "default_version": "2026-09-30.endive", "latest_version": "2026-09-30.endive",
        }));
        let process = tokio::process::Command::new(program)
            .args(["listen", "--skip-update", "--api-key", KEY, "--api-base", &stripe.base(), "--no-wss"])
            .args([events, "--forward-to", to])
            .env_clear()
            .envs([("HOME", home.path()), ("XDG_CONFIG_HOME", home.path())])
            .env("STRIPE_CLI_TELEMETRY_OPTOUT", "1")
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let accepted = tokio::time::timeout(std::time::Duration::from_secs(30), listener.accept()).await;
        let (connection, _) = accepted.expect("the Stripe CLI does not connect").unwrap();
        let socket = accept_async(connection).await.unwrap();
        Some(Self { socket, _process: process, _home: home })
    }

    /// Has it forward a snapshot event, rightly signed.
    pub async fn push(&mut self, body: &str) {
        self.push_signed(body, &signed(body.as_bytes())).await;
    }

    /// Has it forward a snapshot event with that signature.
    pub async fn push_signed(&mut self, body: &str, signature: &str) {
        let message = json!({
            "type": "webhook_event", "webhook_id": "wh_1", "webhook_conversation_id": "wc_1", "endpoint": { "api_version": null },
            "event_payload": body, "http_headers": { "Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8" },
        });
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Has it forward a thin event, rightly signed.
    pub async fn push_thin(&mut self, body: &str) {
        let headers =
            json!({ "Stripe-Signature": signed(body.as_bytes()), "Content-Type": "application/json; charset=utf-8" });
        let message = json!({ "type": "v2_event", "destination_id": "ed_1", "payload": body, "http_headers": headers });
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// What the receiver answered to the next `n` that it got: the status and the body.
    pub async fn answers(&mut self, n: usize) -> Vec<(u64, Value)> {
        let mut answers = Vec::new();
        while answers.len() < n {
            let next = tokio::time::timeout(std::time::Duration::from_secs(30), self.socket.next()).await;
            let message = next.expect("the Stripe CLI says no more").unwrap().unwrap();
            let Ok(text) = message.to_text() else { continue };
            let told: Value = serde_json::from_str(text).unwrap_or_default();
            if told["type"] == "webhook_response" {
                let body = serde_json::from_str(told["body"].as_str().unwrap()).unwrap_or_default();
                answers.push((told["status"].as_u64().unwrap(), body));
            }
        }
        answers
    }
}
