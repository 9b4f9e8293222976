//! The closed loop: as many connections as asked for, each of which sends its next request when it has its answer.
//! Raw sockets on one thread, so that the generator takes little of the machine from those that are measured.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::figures::Latencies;
use crate::traffic::Tape;
use crate::wire::{self, Counts};

/// Connections that share a tape.
#[derive(Clone)]
pub struct Lane {
    /// What they send.
    pub tape: Rc<Tape>,
    /// The first request, which moves on.
    pub next: Rc<Cell<usize>>,
    /// How many connections there are.
    pub connections: usize,
    /// Begins anew at the tape's end; otherwise the load ends there.
    pub endless: bool,
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Load {
    /// From the first request to the last answer.
    pub time: Duration,
    /// What was answered.
    pub counts: Counts,
    /// From a request to its answer.
    pub latencies: Latencies,
}

impl Load {
    /// 200s a second.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.counts.acknowledged() as f64 / self.time.as_secs_f64()
    }
}

/// Loads a receiver for `time`; one result a lane.
pub fn closed(address: SocketAddr, lanes: &[Lane], time: Duration) -> Result<Vec<Load>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut open = Vec::new();
        for (n, lane) in lanes.iter().enumerate() {
            for _ in 0..lane.connections {
                let stream = TcpStream::connect(address).await.context("connecting to the receiver")?;
                stream.set_nodelay(true)?;
                open.push((n, lane.clone(), stream));
            }
        }
        let start = Instant::now();
        let started = open.into_iter().map(|(n, lane, stream)| {
            (n, tokio::task::spawn_local(async move { converse(stream, &lane, start + time).await }))
        });
        let mut loads: Vec<Load> = lanes.iter().map(|_| Load::default()).collect();
        for (n, task) in started.collect::<Vec<_>>() {
            let (counts, latencies, last) = task.await?.context("talking to the receiver")?;
            let load = &mut loads[n];
            load.time = load.time.max(last - start);
            load.latencies.extend(latencies);
            load.counts.accepted += counts.accepted;
            load.counts.duplicates += counts.duplicates;
            load.counts.ignored += counts.ignored;
            load.counts.refused += counts.refused;
        }
        Ok(loads)
    })
}

async fn converse(mut stream: TcpStream, lane: &Lane, end: Instant) -> io::Result<(Counts, Vec<u32>, Instant)> {
    let (mut counts, mut latencies, mut last) = (Counts::default(), Vec::with_capacity(4096), Instant::now());
    let mut buffer = Vec::with_capacity(1024);
    while last < end {
        let mut n = lane.next.get();
        if n >= lane.tape.len() {
            if !lane.endless {
                break;
            }
            n = 0;
        }
        lane.next.set(n + 1);
        let sent = Instant::now();
        stream.write_all(lane.tape.request(n)).await?;
        buffer.clear();
        let answer = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::Error::other("the receiver closed the connection without an answer"));
            }
            if let Some((answer, _)) = wire::answer(&buffer) {
                break answer;
            }
        };
        last = Instant::now();
        latencies.push(u32::try_from((last - sent).as_micros()).unwrap_or(u32::MAX));
        counts.add(answer);
    }
    Ok((counts, latencies, last))
}
