//! Requests at a fixed pace, and one at a time. Blocking sockets on threads: a timer of the operating system's own is
//! finer than an async runtime's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::figures::Latencies;
use crate::traffic::Tape;
use crate::wire::{self, Answer};

/// Threads, each with a connection, that take turns.
const THREADS: u32 = 32;

/// One connection.
pub struct Connection(TcpStream);

impl Connection {
    /// Opens it.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(stream))
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.0.write_all(request)?;
        let (mut buffer, mut filled) = ([0; 2048], 0);
        loop {
            let read = self.0.read(&mut buffer[filled..]).context("waiting for an answer")?;
            ensure!(read > 0, "the receiver closed the connection without an answer");
            filled += read;
            if let Some((answer, _)) = wire::answer(&buffer[..filled]) {
                return Ok(answer);
            }
        }
    }
}

/// Sends the requests from `from` on, one every `period`, for `time`. Latencies count from the moment at which a
/// request was to be sent, so that a late one is not forgiven.
pub fn open_loop(address: SocketAddr, tape: &Tape, from: usize, period: Duration, time: Duration) -> Result<Latencies> {
    let start = Instant::now() + Duration::from_millis(50);
    let turns = u32::try_from(time.as_micros() / period.as_micros()).context("too many requests")?;
    ensure!(from + turns as usize <= tape.len(), "the tape is too short");
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || -> Result<Vec<u32>> {
                    let mut connection = Connection::open(address)?;
                    let mut latencies = Vec::new();
                    for turn in (thread..turns).step_by(THREADS as usize) {
                        let due = start + period * turn;
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let answer = connection.ask(tape.request(from + turn as usize))?;
                        ensure!(answer == Answer::Accepted, "a paced request was answered {answer:?}");
                        latencies.push(u32::try_from(due.elapsed().as_micros())?);
                    }
                    Ok(latencies)
                })
            })
            .collect();
        let mut all = Latencies::default();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread of the generator panicked"))??);
        }
        Ok(all)
    })
}

/// Sends one request after the other over one connection for `time`, from `from` on.
pub fn one_by_one(address: SocketAddr, tape: &Tape, from: usize, time: Duration) -> Result<Latencies> {
    let (mut connection, mut latencies) = (Connection::open(address)?, Vec::new());
    let end = Instant::now() + time;
    for n in from..tape.len() {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let answer = connection.ask(tape.request(n))?;
        ensure!(answer == Answer::Accepted, "a request was answered {answer:?}");
        latencies.push(u32::try_from(sent.elapsed().as_micros())?);
    }
    Ok(latencies.into_iter().collect())
}
