//! Every answer that is not a success. One type, so that no internal message reaches a client.

use actix_http::ConnectionType;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use std::borrow::Cow;
use uuid::Uuid;

/// What the client is told: a stable code, a sentence, and an id that the log has too.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct HttpError {
    status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    message: Cow<'static, str>,
    allow: Option<&'static str>,
    close: bool,
}

impl HttpError {
    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), allow: None, close: false }
    }

    /// 400: the request cannot be understood.
    pub const fn bad_request(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: no token, or another one.
    pub const fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "a valid bearer token is needed: Authorization: Bearer $API_TOKEN",
        )
    }

    /// 404: nothing of that name.
    pub const fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 405, with the methods that are allowed.
    pub const fn method_not_allowed(allow: &'static str) -> Self {
        let mut error =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this method is not for this path");
        error.allow = Some(allow);
        error
    }

    /// 408: the body came too slowly.
    pub const fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body did not arrive in time").closing()
    }

    /// 409: not as things stand.
    pub const fn conflict(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: the body is over its limit.
    pub const fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the body is over the limit").closing()
    }

    /// 415: never inflate before verifying.
    pub const fn compressed() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "send the body without Content-Encoding")
            .closing()
    }

    /// 422: understood, and refused.
    pub fn unprocessable(code: &'static str, message: String) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "");
        error.message = Cow::Owned(message);
        error
    }

    /// 503: our own trouble; the sender tries again.
    pub const fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not stored; try again")
    }

    /// The rest of the request is not read.
    const fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let request_id = Uuid::now_v7();
        log::debug!(code = self.code, request_id:% = request_id; "refused a request");
        let mut response = HttpResponse::build(self.status)
            .json(json!({ "error": { "code": self.code, "message": self.message, "request_id": request_id } }));
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if self.close {
            // A header alone would not close it.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}
