//! The one table of routes.

use super::error::HttpError;
use super::{State, api, github, health, webhooks};
use actix_web::{HttpResponse, ResponseError, web};

/// A path with its methods; any other method is told which. `$allow` says them once more, as the header does.
macro_rules! route {
    ($config:ident, $path:literal, $allow:literal, $($method:ident => $handler:path),+) => {
        $config.service(
            web::resource($path)
                $(.route(web::$method().to($handler)))+
                .default_service(web::to(|| async { HttpError::method_not_allowed($allow).error_response() })),
        )
    };
}

/// Adds every route.
pub fn table(config: &mut web::ServiceConfig, state: State) {
    config.app_data(web::Data::new(state));
    route!(config, "/webhooks/stripe", "POST", post => webhooks::stripe);
    route!(config, "/webhooks/github", "POST", post => github::github);
    route!(config, "/healthz", "GET", get => health::healthz);
    route!(config, "/readyz", "GET", get => health::readyz);
    route!(config, "/metrics", "GET", get => health::metrics);
    route!(config, "/api/orders", "GET", get => api::orders::list);
    route!(config, "/api/orders/{reference}", "GET, PUT", get => api::orders::get, put => api::words::expect);
    route!(config, "/api/orders/{reference}/release", "POST", post => api::words::release);
    route!(config, "/api/orders/{reference}/timeline", "GET", get => api::timeline::get);
    route!(config, "/api/events", "GET", get => api::events::list);
    route!(config, "/api/events/{id}", "GET", get => api::events::get);
    route!(config, "/api/events/{id}/replay", "POST", post => api::events::replay);
    route!(config, "/api/messages", "GET", get => api::messages::list);
    route!(config, "/api/messages/{id}", "GET", get => api::messages::get);
    route!(config, "/api/messages/{id}/retry", "POST", post => api::messages::retry);
    route!(config, "/api/messages/{id}/discard", "POST", post => api::messages::discard);
    subscriptions(config);
    config.default_service(web::to(not_found));
}

fn subscriptions(config: &mut web::ServiceConfig) {
    use api::subscriptions;
    route!(config, "/api/subscriptions", "GET, POST", get => subscriptions::list, post => subscriptions::create);
    route!(config, "/api/subscriptions/{id}", "DELETE, GET, PATCH",
        delete => subscriptions::delete, get => subscriptions::get, patch => subscriptions::update);
    route!(config, "/api/subscriptions/{id}/rotate", "POST", post => subscriptions::rotate);
    route!(config, "/api/subscriptions/{id}/test", "POST", post => subscriptions::test);
}

async fn not_found() -> HttpResponse {
    HttpError::not_found("there is nothing at this path").error_response()
}
