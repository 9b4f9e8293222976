//! A mail server that takes everything at once and keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// It runs until the program ends.
pub struct Sink {
    /// What `SMTP_URL` is to be.
    pub url: String,
    mails: Arc<AtomicUsize>,
}

impl Sink {
    /// Starts it on a thread of its own.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let url = format!("smtp://{}", listener.local_addr()?);
        let mails = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&mails);
        thread::Builder::new().name("smtp".into()).spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    let count = Arc::clone(&count);
                    // A client that hangs up in the middle is no concern of the sink's.
                    tokio::spawn(async move { drop(talk(stream, &count).await) });
                }
            });
        })?;
        Ok(Self { url, mails })
    }

    /// Mails taken so far.
    pub fn mails(&self) -> usize {
        self.mails.load(Ordering::Relaxed)
    }
}

async fn talk(stream: TcpStream, mails: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let (mut read, mut line) = (BufReader::with_capacity(64 << 10, read), Vec::new());
    write.write_all(b"220 sink ready\r\n").await?;
    loop {
        line.clear();
        if read.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let verb: Vec<u8> = line.iter().take(4).map(u8::to_ascii_uppercase).collect();
        let answer: &[u8] = match &verb[..] {
            b"EHLO" => b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                loop {
                    line.clear();
                    if read.read_until(b'\n', &mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == b".\r\n" {
                        break;
                    }
                }
                mails.fetch_add(1, Ordering::Relaxed);
                b"250 taken\r\n"
            }
            b"QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 ok\r\n",
        };
        write.write_all(answer).await?;
    }
}
