//! The receivers to compare with, from the same crates. The benchmark starts itself once more as one of them, so that
//! each is a process of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{ExpressionMethods, PgConnection, RunQueryDsl};
use ringup::config::Secret;
use ringup::source::signature;

use crate::process::{Receiver, free_address};
use crate::traffic::SECRET;
use crate::{Bench, Role};

/// Where the one-insert receiver keeps events.
const TABLE: &str = "CREATE TABLE received (event_id text PRIMARY KEY, body jsonb NOT NULL)";
/// The one-insert receiver's connections. Tried 8 to 64 on two cores: 16 is not slower than the others.
const CONNECTIONS: u32 = 16;

diesel::table! {
    received (event_id) {
        event_id -> Text,
        body -> Jsonb,
    }
}

type Connections = Pool<ConnectionManager<PgConnection>>;

/// Starts this program as a baseline on the measured database, made anew.
pub fn start(bench: &Bench, role: Role) -> Result<Receiver> {
    bench.postgres.fresh()?;
    if role == Role::OneInsert {
        bench.postgres.prepare(TABLE)?;
    }
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--be").arg(role.name()).arg("--listen").arg(address.to_string());
    command.env("DATABASE_URL", bench.postgres.measured());
    Receiver::start(command, address, &bench.home.join(format!("{}.log", role.name())))
}

/// Is that baseline, until it is killed.
pub fn be(role: Role, address: SocketAddr) -> Result<()> {
    let pool = match role {
        Role::Nothing => None,
        Role::OneInsert => {
            let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
            Some(Pool::builder().max_size(CONNECTIONS).build(ConnectionManager::<PgConnection>::new(url))?)
        }
    };
    actix_rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let handler = match role {
                Role::Nothing => web::post().to(verify_and_answer),
                Role::OneInsert => web::post().to(insert_and_answer),
            };
            let app = App::new().route("/webhooks/stripe", handler);
            match &pool {
                Some(pool) => app.app_data(web::Data::new(pool.clone())),
                None => app,
            }
        });
        Ok(server.disable_signals().bind(address)?.run().await?)
    })
}

/// As a configuration has them.
static SECRETS: OnceLock<Vec<Secret>> = OnceLock::new();

fn is_signed(request: &HttpRequest, body: &[u8]) -> bool {
    let header = request.headers().get("stripe-signature").map(actix_web::http::header::HeaderValue::as_bytes);
    let secrets = SECRETS.get_or_init(|| Secret::new(SECRET).into_iter().collect());
    signature::verify(header, body, secrets, chrono::Utc::now().timestamp(), Some(3600)).is_ok()
}

fn accepted() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "accepted" }))
}

/// This server with the database left out, and with all cores for HTTP alone.
async fn verify_and_answer(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    if is_signed(&request, &body) { accepted() } else { HttpResponse::BadRequest().finish() }
}

/// What is written first, everywhere: verify, parse, one insert, 200.
async fn insert_and_answer(request: HttpRequest, body: web::Bytes, pool: web::Data<Connections>) -> HttpResponse {
    if !is_signed(&request, &body) {
        return HttpResponse::BadRequest().finish();
    }
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    match web::block(move || insert(&pool, &event)).await {
        Ok(Ok(())) => accepted(),
        _ => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn insert(pool: &Connections, event: &serde_json::Value) -> Result<()> {
    let id = event["id"].as_str().context("an event without an id")?;
    let row = (received::event_id.eq(id), received::body.eq(event));
    diesel::insert_into(received::table).values(row).on_conflict_do_nothing().execute(&mut pool.get()?)?;
    Ok(())
}
