//! A fake of Stripe's API on loopback that speaks its HTTP: keys, pages, errors, idempotency.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A restricted one, as a receiver should have.
pub const KEY: &str = "rk_test_of_the_fake";

/// The status of no answer at all.
const HANG: u16 = 0;
/// The status of the usual answer.
const USUAL: u16 = 1;
/// The status of an answer that waits for [`Held::release`].
const HOLD: u16 = 2;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The query's, or the form's.
    pub params: Vec<(String, String)>,
    pub headers: BTreeMap<String, String>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// `name[0]`, `name[1]`, …
    fn list(&self, name: &str) -> Vec<&str> {
        let start = format!("{name}[");
        self.params.iter().filter(|(known, _)| known.starts_with(&start)).map(|(_, value)| &value[..]).collect()
    }
}

/// An event that Stripe has.
#[derive(Clone, Debug)]
pub struct Event {
    pub body: String,
    /// All endpoints took it.
    pub delivered: bool,
}

#[derive(Default)]
pub struct State {
    /// Webhook endpoints, the newest first, as Stripe lists them.
    pub endpoints: Vec<Value>,
    /// Events with the account that they are of (our own is empty), in any sequence.
    pub events: Vec<(String, Event)>,
    /// Objects by the account that they are of and their path, such as `/v1/charges/ch_1`.
    pub objects: BTreeMap<(String, String), Value>,
    /// The key that is accepted, where it is not [`KEY`].
    pub key: Option<String>,
    /// What the clock says, where it is wrong.
    pub date: Option<String>,
    /// What the command line is told of its session.
    pub session: Option<Value>,
    /// All that was asked.
    pub asked: Vec<Asked>,
    /// What the next requests are answered with instead.
    pub script: VecDeque<(u16, String)>,
    /// Only requests of this path.
    pub script_for: Option<String>,
    /// Whoever holds an answer back, in sequence.
    holds: VecDeque<(Sender<()>, Receiver<()>)>,
    /// Requests and their answers by their idempotency key.
    answered: BTreeMap<String, (Vec<(String, String)>, Value)>,
    /// Endpoints that were made so far.
    made: usize,
}

pub struct FakeStripe {
    port: u16,
    server: ServerHandle,
    state: Arc<Mutex<State>>,
}

impl FakeStripe {
    pub fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, (started, running)) = (Arc::clone(&state), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app =
                    move || App::new().app_data(web::Data::from(Arc::clone(&shared))).default_service(web::to(answer));
                let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
                let port = server.addrs()[0].port();
                let server = server.run();
                started.send((port, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (port, server) = running.recv().unwrap();
        Self { port, server, state }
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has Stripe list events that no endpoint took.
    pub fn lists<'a>(&self, account: &str, bodies: impl IntoIterator<Item = &'a str>) {
        let events = bodies.into_iter().map(|body| Event { body: body.to_owned(), delivered: false });
        self.state().events.extend(events.map(|event| (account.to_owned(), event)));
    }

    /// Has Stripe keep an object.
    pub fn keeps(&self, account: &str, path: &str, object: &Value) {
        self.state().objects.insert((account.to_owned(), path.to_owned()), object.clone());
    }

    /// How the lists of events were asked for, in sequence.
    pub fn asked_for_events(&self) -> Vec<Asked> {
        self.state().asked.iter().filter(|asked| asked.path == "/v1/events").cloned().collect()
    }

    /// The next request is never answered.
    pub fn hang_next(&self) {
        self.state().script.push_back((HANG, String::new()));
    }

    /// The next request is answered as ever.
    pub fn answer_next(&self) {
        self.state().script.push_back((USUAL, String::new()));
    }

    /// The next request is answered no sooner than told, and then by what is scripted after this.
    pub fn hold_next(&self) -> Held {
        let ((asked, came), (release, released)) = (channel(), channel());
        self.state().script.push_back((HOLD, String::new()));
        self.state().holds.push_back((asked, released));
        Held { came, release }
    }

    /// An error as Stripe tells it.
    pub fn refuse_next(&self, status: u16, message: &str) {
        let body = json!({ "error": { "message": message, "type": "invalid_request_error" } });
        self.state().script.push_back((status, body.to_string()));
    }
}

/// An answer that waits.
pub struct Held {
    came: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    /// Waits until the request is there.
    pub async fn came(&mut self) {
        (&mut self.came).await.unwrap();
    }

    pub fn release(self) {
        self.release.send(()).unwrap();
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        let server = self.server.clone();
        std::thread::scope(|scope| {
            drop(scope.spawn(|| actix_rt::System::new().block_on(async move { server.stop(false).await })).join());
        });
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let text = if body.is_empty() { request.query_string().as_bytes() } else { &body[..] };
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let asked = Asked {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        params: url::form_urlencoded::parse(text).into_owned().collect(),
        headers: headers.collect(),
    };
    let date = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(asked.clone());
        state.date.clone()
    };
    let next = || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_scripted = state.script_for.as_ref().is_none_or(|path| asked.path == *path);
        if is_scripted { state.script.pop_front() } else { None }
    };
    let mut scripted = next();
    while scripted.as_ref().is_some_and(|(status, _)| *status == HOLD) {
        let hold = state.lock().unwrap_or_else(PoisonError::into_inner).holds.pop_front();
        let (came, released) = hold.unwrap();
        came.send(()).unwrap();
        // Also where the test gives up.
        let _ = released.await;
        scripted = next();
    }
    let reply = |status: u16, body: String| {
        let mut reply = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        if let Some(date) = &date {
            reply.insert_header(("date", &date[..]));
        }
        reply.content_type("application/json").body(body)
    };
    if let Some((status, body)) = scripted.filter(|(status, _)| *status != USUAL) {
        if status == HANG {
            std::future::pending::<()>().await;
        }
        return reply(status, body);
    }
    let answer = state.lock().unwrap_or_else(PoisonError::into_inner).answer(&asked);
    match answer {
        Ok(value) => reply(200, value.to_string()),
        Err((status, message)) => {
            reply(status, json!({ "error": { "message": message, "type": "invalid_request_error" } }).to_string())
        }
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Result<Value, (u16, String)> {
        if asked.header("authorization") != format!("Bearer {}", self.key.as_deref().unwrap_or(KEY)) {
            return Err((401, "Invalid API Key provided: sk_test_****".to_owned()));
        }
        if let Some(session) = self.session.as_ref().filter(|_| asked.path == "/v1/stripecli/sessions") {
            return Ok(session.clone());
        }
        let key = asked.header("idempotency-key").to_owned();
        if asked.method == "POST"
            && let Some((params, known)) = self.answered.get(&key)
        {
            let other =
                "Keys for idempotent requests can only be used with the same parameters they were first used with.";
            return if *params == asked.params { Ok(known.clone()) } else { Err((400, other.to_owned())) };
        }
        if asked.method == "GET" && asked.path == "/v1/events" {
            return self.list(asked);
        }
        let account = asked.header("stripe-account").to_owned();
        if let Some(object) = self.objects.get(&(account, asked.path.clone())).filter(|_| asked.method == "GET") {
            return Ok(object.clone());
        }
        let id = asked.path.strip_prefix("/v1/webhook_endpoints").map(|rest| rest.trim_start_matches('/'));
        let answer = match (&asked.method[..], id) {
            ("GET", Some("")) => page(&self.endpoints, asked)?,
            ("GET", Some(id)) => self.endpoints[self.find(id)?].clone(),
            ("POST", Some("")) => self.create(asked),
            ("POST", Some(id)) => self.update(id, asked)?,
            ("DELETE", Some(id)) => {
                let n = self.find(id)?;
                self.endpoints.remove(n);
                json!({ "id": id, "object": "webhook_endpoint", "deleted": true })
            }
            _ => return Err((404, format!("Unrecognized request URL ({}: {})", asked.method, asked.path))),
        };
        if asked.method == "POST" {
            self.answered.insert(key, (asked.params.clone(), answer.clone()));
        }
        Ok(answer)
    }

    /// The newest first; of one second, the one that came last.
    fn list(&self, asked: &Asked) -> Result<Value, (u16, String)> {
        let bound = |name: &str| asked.param(name).map(|at| at.parse::<i64>().unwrap());
        let (from, until) = (bound("created[gte]"), bound("created[lt]"));
        let only_failed = asked.param("delivery_success") == Some("false");
        let account = asked.header("stripe-account");
        let events = self.events.iter().rev().filter(|(of, event)| of == account && !(only_failed && event.delivered));
        let mut events: Vec<Value> = events.map(|(_, event)| serde_json::from_str(&event.body).unwrap()).collect();
        events.retain(|event| {
            let at = event["created"].as_i64().unwrap();
            from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until)
        });
        events.sort_by_key(|event| -event["created"].as_i64().unwrap());
        page(&events, asked)
    }

    fn find(&self, id: &str) -> Result<usize, (u16, String)> {
        let found = self.endpoints.iter().position(|endpoint| endpoint["id"] == id);
        found.ok_or((404, format!("No such webhook endpoint: '{id}'")))
    }

    fn create(&mut self, asked: &Asked) -> Value {
        self.made += 1;
        let n = self.made;
        let connect = asked.param("connect") == Some("true");
        let metadata: BTreeMap<_, _> = asked
            .params
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("metadata[")?.trim_end_matches(']'), value)))
            .collect();
        let endpoint = json!({
            "id": format!("we_{n}"), "object": "webhook_endpoint", "url": asked.param("url"), "status": "enabled",
            "enabled_events": asked.list("enabled_events"), "api_version": asked.param("api_version"), "livemode": false,
            "application": connect.then_some("ca_1"), "metadata": metadata, "created": 1_790_000_000 + n, "description": null,
        });
        self.endpoints.insert(0, endpoint.clone());
        let mut told = endpoint;
        told["secret"] = json!(format!("whsec_told_of_we_{n}"));
        told
    }

    fn update(&mut self, id: &str, asked: &Asked) -> Result<Value, (u16, String)> {
        let n = self.find(id)?;
        let endpoint = &mut self.endpoints[n];
        if let Some(url) = asked.param("url") {
            endpoint["url"] = json!(url);
        }
        let events = asked.list("enabled_events");
        if !events.is_empty() {
            endpoint["enabled_events"] = json!(events);
        }
        if let Some(disabled) = asked.param("disabled") {
            endpoint["status"] = json!(if disabled == "true" { "disabled" } else { "enabled" });
        }
        Ok(endpoint.clone())
    }
}

/// A page as Stripe cuts it: the newest first, at most 100.
fn page(all: &[Value], asked: &Asked) -> Result<Value, (u16, String)> {
    let limit: usize = asked.param("limit").map_or(10, |limit| limit.parse().unwrap());
    if !(1..=100).contains(&limit) {
        return Err((400, "This value must be between 1 and 100".to_owned()));
    }
    let start = match asked.param("starting_after") {
        None => 0,
        Some(id) => 1 + all.iter().position(|one| one["id"] == id).ok_or((400, format!("No such object: '{id}'")))?,
    };
    let data: Vec<&Value> = all[start..].iter().take(limit).collect();
    Ok(json!({ "object": "list", "url": asked.path, "has_more": start + data.len() < all.len(), "data": data }))
}
