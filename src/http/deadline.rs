//! A connection that is closed when a request takes too long to arrive.
//!
//! actix-web's own timer stops once a head is parsed, and serves only a connection's first request. This one always
//! runs: from the first byte of a request until the first byte of its answer, and again from there. So slow heads, slow
//! second heads on a kept-alive connection (pipelined ones too), slow bodies, bodies that were refused half-way and
//! idle connections all end in time. When the server stops, a connection between two requests ends at once: nobody
//! waits for a client that keeps one open.

use actix_rt::net::{ActixStream, Ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// `S`, closed `deadline` after the first byte that is not answered, or after the last answer.
pub struct DeadlineStream<S> {
    inner: S,
    deadline: Duration,
    timer: Pin<Box<Sleep>>,
    answered: bool,
    /// No request has begun.
    idle: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> DeadlineStream<S> {
    /// The time runs at once: a connection that never says anything ends too.
    pub fn new(inner: S, deadline: Duration, stopping: CancellationToken) -> Self {
        let stopping = Box::pin(stopping.cancelled_owned());
        Self { inner, deadline, timer: Box::pin(sleep(deadline)), answered: false, idle: true, stopping }
    }

    fn restart(&mut self, answered: bool) {
        let end = Instant::now() + self.deadline;
        self.timer.as_mut().reset(end);
        self.answered = answered;
        self.idle = answered;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DeadlineStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let got = buf.filled().len() > before;
        if self.answered && got {
            self.restart(false);
        }
        self.idle &= !got;
        if self.idle && self.stopping.as_mut().poll(cx).is_ready() {
            // As if the client had hung up.
            return Poll::Ready(Ok(()));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request did not arrive in time")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DeadlineStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if matches!(polled, Poll::Ready(Ok(written)) if written > 0) {
            self.restart(true);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: ActixStream> ActixStream for DeadlineStream<S> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.inner.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.inner.poll_write_ready(cx)
    }
}
