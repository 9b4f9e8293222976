//! A mail server that misbehaves by script: each connection follows the next one, then all behave, or misbehave alike.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Where in the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Greeting,
    Ehlo,
    Auth,
    Mail,
    /// The second message on the same connection.
    SecondMail,
    Rcpt,
    Data,
    /// Some of the content has come, the final dot has not.
    Body,
    /// The final dot has come.
    Dot,
}

/// What happens there instead of a good answer.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Reply(&'static str),
    Cut,
    Hang,
}

/// A message that came whole, final dot included, whatever was then answered.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Received {
    pub fn message_id(&self) -> &str {
        self.data.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap()
    }
}

#[derive(Default)]
struct State {
    scripts: Mutex<VecDeque<Option<(At, Fault)>>>,
    standing: Mutex<Option<(At, Fault)>>,
    received: Mutex<Vec<Received>>,
    commands: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

pub struct SmtpServer {
    port: u16,
    state: Arc<State>,
}

impl SmtpServer {
    /// Each fault is one connection's.
    pub async fn start(faults: impl IntoIterator<Item = (At, Fault)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.scripts.lock().unwrap().extend(faults.into_iter().map(Some));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().unwrap() += 1;
                let fault = shared.scripts.lock().unwrap().pop_front().flatten();
                tokio::spawn(Conversation::new(stream, Arc::clone(&shared), fault).run());
            }
        });
        Self { port, state }
    }

    /// From now on each connection that has none of its own has this fault, or none.
    pub fn stand(&self, fault: Option<(At, Fault)>) {
        *self.state.standing.lock().unwrap() = fault;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.state.commands.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }
}

struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    state: Arc<State>,
    fault: Option<(At, Fault)>,
}

impl Conversation {
    fn new(stream: TcpStream, state: Arc<State>, fault: Option<(At, Fault)>) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, state, fault }
    }

    async fn run(mut self) {
        // It ends when a fault cuts it or the client hangs up.
        let _ = self.converse().await;
    }

    async fn converse(&mut self) -> Option<()> {
        self.answer(At::Greeting, "220 test ESMTP").await?;
        let (mut from, mut to) = (String::new(), Vec::new());
        let mut mails = 0;
        loop {
            let line = self.line().await?;
            self.state.commands.lock().unwrap().push(line.trim_end().to_owned());
            match line.split([' ', ':', '\r']).next()? {
                "EHLO" => self.answer(At::Ehlo, "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME").await?,
                "AUTH" => self.answer(At::Auth, "235 2.7.0 ok").await?,
                "MAIL" => {
                    from = between(&line);
                    mails += 1;
                    let at = if mails == 2 { At::SecondMail } else { At::Mail };
                    self.answer(at, "250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    to.push(between(&line));
                    self.answer(At::Rcpt, "250 2.1.5 ok").await?;
                }
                "DATA" => {
                    self.answer(At::Data, "354 go on").await?;
                    let data = self.content().await?;
                    let received = Received { from: from.clone(), to: std::mem::take(&mut to), data };
                    self.state.received.lock().unwrap().push(received);
                    self.answer(At::Dot, "250 2.0.0 queued as 42").await?;
                }
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 what?").await?,
            }
        }
    }

    async fn content(&mut self) -> Option<String> {
        let mut data = String::new();
        loop {
            let line = self.line().await?;
            if line == ".\r\n" {
                return Some(data);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            if let Some((At::Body, fault)) = self.fault() {
                self.misbehave(fault).await?;
            }
        }
    }

    fn fault(&self) -> Option<(At, Fault)> {
        self.fault.or(*self.state.standing.lock().unwrap())
    }

    async fn answer(&mut self, at: At, good: &str) -> Option<()> {
        match self.fault() {
            Some((when, fault)) if when == at => self.misbehave(fault).await,
            _ => self.say(good).await,
        }
    }

    async fn misbehave(&mut self, fault: Fault) -> Option<()> {
        match fault {
            Fault::Reply(text) => self.say(text).await,
            Fault::Cut => None,
            Fault::Hang => std::future::pending().await,
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        self.writer.write_all(format!("{text}\r\n").as_bytes()).await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).await.ok()?;
        (read > 0).then_some(line)
    }
}

fn between(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
