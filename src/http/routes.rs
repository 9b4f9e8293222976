//! The one table of routes.

use super::error::HttpError;
use super::{State, api, health, webhooks};
use actix_web::{HttpResponse, ResponseError, web};

/// A path with its one method; any other method is told which.
macro_rules! route {
    ($config:ident, $path:literal, $method:ident, $allow:literal, $handler:path) => {
        $config.service(
            web::resource($path)
                .route(web::$method().to($handler))
                .default_service(web::to(|| async { HttpError::method_not_allowed($allow).error_response() })),
        )
    };
}

/// Adds every route.
pub fn table(config: &mut web::ServiceConfig, state: State) {
    config.app_data(web::Data::new(state));
    route!(config, "/webhooks/stripe", post, "POST", webhooks::stripe);
    route!(config, "/healthz", get, "GET", health::healthz);
    route!(config, "/readyz", get, "GET", health::readyz);
    route!(config, "/metrics", get, "GET", health::metrics);
    route!(config, "/api/orders/{reference}", get, "GET", api::orders::get);
    config.default_service(web::to(not_found));
}

async fn not_found() -> HttpResponse {
    HttpError::not_found("there is nothing at this path").error_response()
}
