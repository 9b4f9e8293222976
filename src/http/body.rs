//! Reading a body: bounded in bytes, alone and over all requests, and in time; never inflated.

use super::connection::Connection;
use super::error::HttpError;
use crate::intake::{Budget, Permit};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use futures_util::StreamExt;
use std::time::Duration;

/// Reads the whole body, of at most `limit` bytes, within `deadline`.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    deadline: Duration,
    budget: &Budget,
) -> Result<(Vec<u8>, Permit), HttpError> {
    if request.headers().get_all(CONTENT_ENCODING).any(|encoding| encoding != "identity") {
        return Err(HttpError::compressed());
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(HttpError::too_large());
    }
    let _reading = request.conn_data::<Connection>().map(|connection| connection.reading_body(declared));
    let reading = Body::new(declared, limit, budget.arriving(declared)).collect(payload);
    tokio::time::timeout(deadline, reading).await.unwrap_or(Err(HttpError::too_slow()))
}

/// A body on its way. It takes as much memory as has arrived, at most twice that.
struct Body {
    bytes: Vec<u8>,
    /// All of it will be so much, or at most so much.
    expected: usize,
    limit: usize,
    permit: Permit,
}

impl Body {
    fn new(declared: Option<usize>, limit: usize, permit: Permit) -> Self {
        Self { bytes: Vec::new(), expected: declared.unwrap_or(limit), limit, permit }
    }

    async fn collect(mut self, mut payload: Payload) -> Result<(Vec<u8>, Permit), HttpError> {
        while let Some(chunk) = payload.next().await {
            self.add(&chunk.map_err(|error| refuse(&error))?)?;
        }
        Ok((self.bytes, self.permit))
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), HttpError> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            return Err(HttpError::too_large());
        }
        let capacity = self.bytes.capacity();
        if length > capacity {
            // The usual body comes in one piece or two, and is asked for once.
            let wanted = length.saturating_mul(2).min(self.expected).max(length);
            if !self.permit.grow(wanted - capacity) {
                return Err(HttpError::unavailable());
            }
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

fn refuse(error: &PayloadError) -> HttpError {
    match error {
        PayloadError::Overflow => HttpError::too_large(),
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => HttpError::too_slow(),
        _ => HttpError::bad_request("incomplete_payload", "the body ended before its declared length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The room that is taken after each chunk.
    fn room(declared: Option<usize>, chunks: &[usize]) -> Vec<usize> {
        let budget = Budget::new(1 << 20);
        let mut body = Body::new(declared, 1 << 16, budget.arriving(declared));
        let taken = chunks.iter().map(|length| {
            assert!(body.add(&vec![b'x'; *length]).is_ok());
            assert!(body.bytes.capacity() <= budget.used(), "memory that is not counted");
            budget.used()
        });
        taken.collect()
    }

    #[test]
    fn room_is_taken_for_what_has_arrived() {
        assert_eq!(room(Some(5000), &[5000]), [5000], "the usual event");
        assert_eq!(room(Some(9000), &[5000, 4000]), [9000, 9000], "in two pieces");
        assert_eq!(room(Some(60_000), &[1, 1, 1, 1]), [2, 2, 6, 6], "a trickle");
        assert_eq!(room(None, &[100, 100, 100]), [200, 200, 600], "of no declared length");
    }

    #[test]
    fn a_body_over_the_limit_and_one_without_room_are_told_apart() {
        let budget = Budget::new(10);
        let code = |limit, bytes: &[u8]| Body::new(None, limit, budget.arriving(None)).add(bytes).err().map(|e| e.code);
        assert_eq!(code(4, b"12345"), Some("payload_too_large"));
        assert_eq!(code(100, b"12345678901"), Some("unavailable"));
        assert_eq!(code(100, b"123"), None);
        assert_eq!(budget.used(), 0);
    }
}
