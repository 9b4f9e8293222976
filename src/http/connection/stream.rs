//! The socket as actix-web sees it: it reads no more than a turn may, and tells what was written.

use super::Connection;
use super::blank_lines::BlankLines;
use actix_rt::net::{ActixStream, Ready, TcpStream};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that is read no faster than its requests are answered.
pub struct ConnectionStream {
    socket: TcpStream,
    connection: Connection,
    blank_lines: BlankLines,
    /// Read from the socket, and left to a later turn.
    held: BytesMut,
}

impl ConnectionStream {
    /// Reads and writes as `connection` allows.
    pub fn new(socket: TcpStream, connection: Connection) -> Self {
        Self { socket, connection, blank_lines: BlankLines::default(), held: BytesMut::new() }
    }

    /// What is told of it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Of `bytes`, how many this turn takes, and how many of these stand behind the end of a head. If more than one head
    /// ends in them, the first alone is taken.
    fn share(&mut self, bytes: &[u8]) -> (usize, Option<usize>) {
        if let Some(left) = self.connection.body_left() {
            return (bytes.len().min(left), None);
        }
        let Some(end) = self.blank_lines.next_end(bytes) else { return (bytes.len(), None) };
        let mut lines = self.blank_lines.clone();
        if lines.next_end(&bytes[end..]).is_some() {
            return (end, Some(0));
        }
        self.blank_lines = lines;
        (bytes.len(), Some(bytes.len() - end))
    }

    fn take_held(&mut self, buf: &mut ReadBuf<'_>) {
        let mut held = std::mem::take(&mut self.held);
        let most = held.len().min(buf.remaining());
        let (taken, behind_head) = self.share(&held[..most]);
        buf.put_slice(&held[..taken]);
        held.advance(taken);
        self.held = held;
        self.connection.read(taken, behind_head);
    }

    fn take_new(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        let (taken, behind_head) = self.share(&buf.filled()[before..]);
        self.held.extend_from_slice(&buf.filled()[before + taken..]);
        buf.set_filled(before + taken);
        self.connection.read(taken, behind_head);
        Poll::Ready(Ok(()))
    }

    /// Bytes are there, or may be. Otherwise the connection is polled again when some come.
    fn may_have_more(&self, cx: &mut Context<'_>) -> bool {
        !self.held.is_empty() || self.connection.0.blocked.get() || self.socket.poll_read_ready(cx).is_ready()
    }
}

impl AsyncRead for ConnectionStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection.clone();
        if !connection.has_turn() || !connection.may_read() {
            if self.may_have_more(cx) {
                connection.refuse();
            }
            return Poll::Pending;
        }
        let polled = if self.held.is_empty() {
            self.take_new(cx, buf)
        } else {
            self.take_held(buf);
            Poll::Ready(Ok(()))
        };
        connection.0.held.set(!self.held.is_empty());
        polled
    }
}

impl AsyncWrite for ConnectionStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        match &polled {
            Poll::Ready(Ok(written)) if *written > 0 => self.connection.wrote(*written, *written == buf.len()),
            Poll::Ready(_) => {}
            Poll::Pending => self.connection.block(),
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl ActixStream for ConnectionStream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.socket, cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.socket, cx)
    }
}
