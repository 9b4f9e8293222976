//! Delivery: claim, render, send, settle.
//!
//! [`run_once`] is one step of it, which tests drive; [`run`] goes on until it is stopped, settling and claiming in turns
//! whatever is still being sent, so that a slow destination keeps nobody but itself waiting.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use diesel::PgConnection;
use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::destinations::{self, MailNews, MailTrouble, Troubles, Turn};
use super::sends::Sends;
use super::store::{self, Attempt, Then};
use super::{MessageKind, NewNotice, Outbox};
use crate::db::{DbPool as Pool, with_connection};
use crate::metrics::Delivery;
use crate::notices::{About, Kind};

/// A lost wake-up costs at most this.
const POLL: Duration = Duration::from_secs(1);
/// What ends, and what is queued, within this time is settled and claimed together: each commit of the writer's would
/// otherwise be a claim, and each mail a settle.
const TURN: Duration = Duration::from_millis(20);
/// A turn is longer by so many times what the database took for the last one's claim and settle: where it has much to do,
/// what comes in goes first.
const YIELD: u32 = 3;
/// Yet never by more.
const LONGEST: Duration = Duration::from_millis(500);

/// How one attempt to hand a message over ended, with the other side's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Accepted.
    Sent(String),
    /// Failed for now, or nobody knows; the answer may ask for a pause.
    Retry { answer: String, pause: Option<Duration> },
    /// The mail server does not take the shop's mails, whoever they are for: it is tried again, however often. A person is
    /// to see to it: told at once, or only if it lasts.
    ShopTrouble { answer: String, at_once: bool },
    /// It could not be made ready: nothing that the other side said.
    Unready(String),
    /// Refused for good.
    Refused(String),
    /// It isn't worth telling any more.
    Over(String),
    /// Nothing can arrive there until a person has looked; the message waits.
    Stopped(String),
}

impl Outcome {
    /// Failed for now.
    pub fn again(answer: String) -> Self {
        Self::Retry { answer, pause: None }
    }
}

/// Delivers what is due, as much as one claim takes, and returns how many messages it handled. It never sleeps:
/// zero means that nothing is due.
///
/// Where it is dropped in the middle, what it was sending stays leased and is sent again later, under the same id.
pub async fn run_once(outbox: &Outbox) -> anyhow::Result<usize> {
    let mut sends = Sends::new(outbox);
    let handled = sends.claim(outbox).await?;
    let mut unsettled = Vec::new();
    // A slow delivery doesn't keep the others of its batch waiting for their mark.
    while sends.collect(&mut unsettled).await {
        settle_or_keep(outbox, &mut unsettled).await;
    }
    if !unsettled.is_empty() {
        settle(outbox, &mut unsettled).await.context("settling messages")?;
    }
    Ok(handled)
}

/// Delivers until `stop` turns true; then what is under way ends. `beat` is called each time round.
pub async fn run(outbox: &Outbox, beat: impl Fn(), wake: &Notify, mut stop: watch::Receiver<bool>) {
    let (mut sends, mut unsettled, mut claims) = (Sends::new(outbox), Vec::new(), Claims::default());
    let mut asked = Duration::ZERO;
    loop {
        beat();
        if *stop.borrow() {
            return drain(outbox, sends, unsettled).await;
        }
        let start = Instant::now();
        let turn = start + TURN + (asked * YIELD).min(LONGEST);
        // Who wakes us while we claim, settle or wait for the turn's end is heard.
        let mut woken = pin!(wake.notified());
        woken.as_mut().enable();
        claims.make_if_due(outbox, &mut sends).await;
        asked = start.elapsed();
        let idle = sends.is_empty();
        tokio::select! {
            _ = sends.collect(&mut unsettled), if !idle => claims.are_due |= sends.is_full(),
            () = &mut woken => {}
            () = tokio::time::sleep_until(claims.last + POLL) => {}
            told = stop.changed() => match told {
                Ok(()) => continue,
                // Who could have said so is gone, and all else with it.
                Err(_) => return,
            },
        }
        tokio::time::sleep_until(turn).await;
        sends.collect_ended(&mut unsettled);
        let settling = Instant::now();
        settle_or_keep(outbox, &mut unsettled).await;
        asked += settling.elapsed();
        claims.are_due |= woken.now_or_never().is_some();
    }
}

/// When it was claimed, and when it is to be claimed again.
struct Claims {
    last: Instant,
    /// There may be something due: somebody said so, or the last claim left something for want of room.
    are_due: bool,
    are_failing: bool,
}

impl Default for Claims {
    fn default() -> Self {
        Self { last: Instant::now(), are_due: true, are_failing: false }
    }
}

impl Claims {
    /// Claims where something may be due, and where it is time to look.
    async fn make_if_due(&mut self, outbox: &Outbox, sends: &mut Sends) {
        if !self.are_due && self.last.elapsed() < POLL {
            return;
        }
        (self.last, self.are_due) = (Instant::now(), false);
        match sends.claim(outbox).await {
            Ok(_) => self.are_failing = false,
            Err(error) if self.are_failing => log::debug!("claiming messages still fails: {error:#}"),
            Err(error) => {
                self.are_failing = true;
                log::error!("claiming messages fails, it is tried again each second: {error:#}");
            }
        }
    }
}

/// Lets what is under way end, but not for ever: what is cut off stays leased, and is sent again later under its id.
async fn drain(outbox: &Outbox, mut sends: Sends, mut unsettled: Vec<Attempt>) {
    sends.close();
    let ended = tokio::time::timeout(outbox.drain, async { while sends.collect(&mut unsettled).await {} });
    if ended.await.is_err() {
        log::warn!(messages = sends.len(); "stopping in the middle of deliveries; they will be made again, under the same ids");
    }
    settle_or_keep(outbox, &mut unsettled).await;
}

async fn settle_or_keep(outbox: &Outbox, attempts: &mut Vec<Attempt>) {
    if let Err(error) = settle(outbox, attempts).await {
        log::warn!("settling messages failed, will be tried again: {error:#}");
    }
}

/// Writes what ended; what could not be written stays in `attempts`.
async fn settle(outbox: &Outbox, attempts: &mut Vec<Attempt>) -> anyhow::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    fail::fail_point!("outbox.before_mark", attempts.iter().any(|attempt| attempt.kind == "webhook"), |_| Ok(()));
    let batch = Arc::new(std::mem::take(attempts));
    let theirs = Arc::clone(&batch);
    let settled = with_connection(&outbox.pool, move |conn| {
        let settled = store::settle(conn, &theirs, troubles(&theirs), &obituaries(&theirs))?;
        note_mail_server(conn, &mail_news(&theirs));
        diesel::QueryResult::Ok(settled)
    })
    .await;
    match settled {
        Ok(settled) => {
            report(outbox, &batch);
            if settled.messages < batch.len() {
                log::warn!(lost = batch.len() - settled.messages; "some messages were taken over before they could be settled");
            }
            for (destination, why) in settled.disabled {
                log::error!(destination = destination, why = why; "nothing more is sent there; see `ringup subscriptions list`");
            }
            Ok(())
        }
        Err(error) => {
            *attempts = Arc::into_inner(batch).unwrap_or_default();
            Err(error)
        }
    }
}

/// What the attempts show about their destinations. A mail's refusal says nothing about the mail server.
fn troubles(attempts: &[Attempt]) -> Troubles {
    let mut troubles = Troubles::default();
    for attempt in attempts.iter().filter(|attempt| attempt.kind != "email") {
        let id = attempt.destination.clone();
        match &attempt.ended {
            Outcome::Sent(_) => troubles.working.push(id),
            Outcome::Retry { pause, .. } => {
                let longest = troubles.failing.entry(id).or_default();
                *longest = (*longest).max(pause.unwrap_or_default());
            }
            Outcome::Stopped(why) => drop(troubles.stopped.insert(id, store::storable(why))),
            Outcome::ShopTrouble { .. } | Outcome::Unready(_) | Outcome::Refused(_) | Outcome::Over(_) => {}
        }
    }
    troubles
}

/// What the attempts show about the mail server. A refusal for the recipient's sake says that it works.
fn mail_news(attempts: &[Attempt]) -> MailNews {
    let mut news = MailNews::default();
    for attempt in attempts.iter().filter(|attempt| attempt.kind == MessageKind::Email.name()) {
        match &attempt.ended {
            Outcome::Sent(_) => news.works = true,
            Outcome::ShopTrouble { answer, at_once } => {
                news.failed.push((attempt.message_id, attempt.number));
                if news.trouble.as_ref().is_none_or(|known| *at_once && !known.at_once) {
                    news.trouble = Some(MailTrouble { answer: store::storable(answer), at_once: *at_once });
                }
            }
            _ => {}
        }
    }
    news
}

/// Writes it down, and says when it begins and when it is over. The attempts are settled: if this fails, the next ones
/// will say the same.
fn note_mail_server(conn: &mut PgConnection, news: &MailNews) {
    match destinations::settle_mail(conn, news) {
        Ok(None) => {}
        Ok(Some(Turn::Began { answer, advice })) => {
            log::error!(answer = answer.escape_debug().to_string(), advice = advice;
                "the mail server takes no mail of the shop's; mails wait and are tried again until it does");
        }
        Ok(Some(Turn::Over { since })) => {
            log::info!(failing_since:% = since; "the mail server takes mail again; what waited goes out now");
        }
        Err(error) => {
            log::warn!("noting how the mail server does failed, the next attempts will say the same: {error}");
        }
    }
}

/// Given up although it was still worth telling.
fn is_loss(attempt: &Attempt) -> bool {
    attempt.then == Then::Dead && !matches!(attempt.ended, Outcome::Over(_))
}

/// Tells whoever subscribed which messages were given up; not of those that tell of such things themselves.
fn obituaries(attempts: &[Attempt]) -> Vec<NewNotice> {
    let is_news = |attempt: &&Attempt| {
        is_loss(attempt) && !["message.", "subscription."].iter().any(|own| attempt.key.starts_with(own))
    };
    let obituary = |attempt: &Attempt| {
        let about = About {
            object: attempt.key.clone(),
            reason: Some(attempt.answer.chars().take(300).collect()),
            ..About::default()
        };
        let key = format!("{}:{}:{}", Kind::MessageDead.name(), attempt.message_id, attempt.number);
        NewNotice::new(Kind::MessageDead, key, &about)
    };
    attempts.iter().filter(is_news).map(obituary).collect()
}

/// Counts the attempts, and says which messages were given up.
fn report(outbox: &Outbox, attempts: &[Attempt]) {
    for attempt in attempts {
        let outcome = match attempt.then {
            Then::Back => continue,
            Then::Sent => "sent",
            Then::Again { .. } => "retry",
            Then::Dead => "dead",
        };
        let label = Delivery { kind: attempt.kind.clone(), outcome };
        outbox.metrics.deliveries.get_or_create(&label).inc();
        if is_loss(attempt) {
            log::error!(message:% = attempt.message_id, kind = attempt.kind, answer = attempt.answer.escape_debug().to_string();
                "a message was given up; `ringup messages retry` tries it anew");
        }
    }
}

/// The checkout session of a message's order, where it has exactly one.
pub(super) async fn session_of(pool: &Pool, message: uuid::Uuid) -> anyhow::Result<Option<String>> {
    with_connection(pool, move |conn| store::session_of(conn, message)).await
}

/// The bytes of a received event.
pub(super) async fn received(pool: &Pool, event: i64) -> anyhow::Result<Option<Vec<u8>>> {
    with_connection(pool, move |conn| store::received(conn, event)).await
}
