//! Reading a body: bounded in bytes, alone and over all requests, and in time; never inflated.

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
    if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(HttpError::compressed());
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(HttpError::too_large());
    }
    let permit = budget.reserve(declared.unwrap_or(0)).ok_or(HttpError::unavailable())?;
    let reading = collect(payload, declared.unwrap_or(0), limit, permit);
    tokio::time::timeout(deadline, reading).await.unwrap_or(Err(HttpError::too_slow()))
}

async fn collect(
    mut payload: Payload,
    reserved: usize,
    limit: usize,
    mut permit: Permit,
) -> Result<(Vec<u8>, Permit), HttpError> {
    let mut body = Vec::with_capacity(reserved);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| refuse(&error))?;
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(HttpError::too_large());
        }
        if length > reserved && !permit.grow(length - reserved.max(body.len())) {
            return Err(HttpError::unavailable());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, permit))
}

fn refuse(error: &PayloadError) -> HttpError {
    match error {
        PayloadError::Overflow => HttpError::too_large(),
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => HttpError::too_slow(),
        _ => HttpError::bad_request("incomplete_payload", "the body ended before its declared length"),
    }
}
