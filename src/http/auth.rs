//! Who may use the API.

use super::State;
use super::error::HttpError;
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

/// Refuses whoever does not bear `API_TOKEN`; compared in constant time. Without a token nobody is let in.
pub fn api(request: &HttpRequest, state: &State) -> Result<(), HttpError> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let expected = state.config.api_token.as_ref().map(|token| token.expose().as_bytes());
    match (given, expected) {
        (Some(given), Some(expected)) if bool::from(given.ct_eq(expected)) => Ok(()),
        _ => Err(HttpError::unauthorized()),
    }
}
