//! A receiver of webhooks that misbehaves by script: each request is answered by the next line, then all with 200.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status and a body.
    Status(u16, &'static str),
    /// The same with one header more.
    With(u16, &'static str, String),
    /// 10 MB of a body.
    Huge,
    /// Nothing, ever.
    Hang,
    /// Nothing, and the connection ends.
    Cut,
}

/// A request that came whole.
#[derive(Clone, Debug)]
pub struct Hook {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Hook {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Hook>>,
    sent: Mutex<usize>,
    came: Notify,
}

pub struct HookServer {
    port: u16,
    state: Arc<State>,
}

impl HookServer {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.replies.lock().unwrap().extend(replies);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // It ends when the script cuts it or the client hangs up.
                tokio::spawn(async move { converse(stream, &state).await });
            }
        });
        Self { port, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn received(&self) -> Vec<Hook> {
        self.state.received.lock().unwrap().clone()
    }

    /// The bytes of huge bodies that were taken.
    pub fn sent(&self) -> usize {
        *self.state.sent.lock().unwrap()
    }

    /// Waits until so many requests have come.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let came = self.state.came.notified();
            if self.received().len() >= count {
                return;
            }
            came.await;
        }
    }
}

async fn converse(stream: TcpStream, state: &State) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let hook = read(&mut reader).await?;
        state.received.lock().unwrap().push(hook);
        state.came.notify_waiters();
        let reply = state.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(200, "ok"));
        match reply {
            Reply::Status(status, body) => answer(&mut writer, status, "x-test: 1", body).await?,
            Reply::With(status, body, header) => answer(&mut writer, status, &header, body).await?,
            Reply::Huge => {
                writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n").await.ok()?;
                for _ in 0..1000 {
                    writer.write_all(&[b'x'; 10_000]).await.ok()?;
                    *state.sent.lock().unwrap() += 10_000;
                }
            }
            Reply::Hang => std::future::pending().await,
            Reply::Cut => return None,
        }
    }
}

async fn answer(writer: &mut (impl AsyncWriteExt + Unpin), status: u16, header: &str, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Scripted\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
    writer.write_all(head.as_bytes()).await.ok()?;
    writer.write_all(body.as_bytes()).await.ok()
}

async fn read(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Hook> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    Some(Hook { path, headers, body })
}
