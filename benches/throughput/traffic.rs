//! What is sent: whole streams of the sample shop's events, signed, as the bytes of HTTP requests, made before any
//! clock starts.
//!
//! A stream is drawn and rendered a few dozen times; each further one is a copy with ids of its own patched in. As in
//! Stripe's ids the letters after the prefix grow with time (payment intents, charges, events, …); a session's id and
//! the shop's reference are scattered.

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ringup::dev::scenarios;
use ringup::source::signature;

/// Signs all requests.
pub const SECRET: &str = "whsec_of_the_benchmark";
/// What follows the letters that make a purchase's ids its own.
const SHOP: &str = "NqCornerS7";
/// How many of them there are.
const STEM: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Ids of the benchmark's own events are greater than those of the rows that the tables were filled with.
const EPOCH: u64 = 30 * 62u64.pow(5);
/// How far apart the events of one checkout are, in checkouts, where they are spread.
const SPREAD: u64 = 250;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Card checkouts, four events each, one after the other.
    Checkouts,
    /// The same, but between two events of a checkout stand 1,000 of others.
    Spread,
    /// Checkouts; three requests of ten repeat one of the thousand before.
    Duplicates,
    /// Every scenario of the sample shop in turn.
    Mixed,
    /// All events are about one checkout.
    Hot,
}

/// Requests in the sequence in which they are sent.
#[derive(Default)]
pub struct Tape {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    bodies: usize,
}

impl Tape {
    /// `events` requests (a whole stream more at most) of streams whose numbers begin with `first`. Two tapes whose
    /// numbers don't overlap share no id.
    pub fn make(traffic: Traffic, first: u64, events: usize) -> Result<Self> {
        let stories = stories(traffic)?;
        let mut tape = Self { bytes: Vec::with_capacity(events * 3600), ..Self::default() };
        let mut rng = StdRng::seed_from_u64(first);
        let now = chrono::Utc::now().timestamp();
        for n in first.. {
            if tape.len() >= events {
                break;
            }
            match traffic {
                Traffic::Checkouts | Traffic::Mixed => {
                    let story = &stories[usize::try_from(n)? % stories.len()];
                    story.parts.iter().for_each(|part| tape.push(&part.about(n), now));
                }
                Traffic::Duplicates => {
                    for part in &stories[usize::try_from(n)? % stories.len()].parts {
                        tape.push(&part.about(n), now);
                        while rng.random_range(0..10) < 3 {
                            tape.repeat(tape.len() - 1 - rng.random_range(0..tape.len().min(1000)));
                        }
                    }
                }
                Traffic::Spread => {
                    for (k, n) in (0..4).filter_map(|k| Some((k, n.checked_sub(k * SPREAD)?))) {
                        let story = &stories[usize::try_from(n)? % stories.len()];
                        tape.push(&story.parts[usize::try_from(k)?].about(n), now);
                    }
                }
                Traffic::Hot => {
                    let part = &stories[0].parts[usize::try_from(n % 4)?];
                    tape.push(&part.once_more(n), now);
                }
            }
        }
        Ok(tape)
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// A request's bytes.
    pub fn request(&self, n: usize) -> &[u8] {
        &self.bytes[if n == 0 { 0 } else { self.ends[n - 1] }..self.ends[n]]
    }

    /// The body of a request.
    pub fn body(&self, n: usize) -> &[u8] {
        let request = self.request(n);
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
        &request[head..]
    }

    /// The mean length of a body, in bytes.
    pub fn body_length(&self) -> usize {
        self.bodies / self.len().max(1)
    }

    fn push(&mut self, body: &[u8], now: i64) {
        let signature = signature::sign(SECRET, now, body);
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
             accept: */*\r\ncontent-type: application/json; charset=utf-8\r\nstripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(body);
        self.ends.push(self.bytes.len());
        self.bodies += body.len();
    }

    fn repeat(&mut self, n: usize) {
        let again = self.request(n).to_vec();
        self.bytes.extend_from_slice(&again);
        self.ends.push(self.bytes.len());
        self.bodies += again.len().saturating_sub(400);
    }
}

/// The body of one event, for a baseline that stores it.
pub fn sample_body() -> Result<String> {
    let story = scenarios::play("checkout", &mut StdRng::seed_from_u64(1), 1_790_000_000).context("no checkout")?;
    Ok(story.events.get(1).context("a checkout without a charge")?.body.clone())
}

fn stories(traffic: Traffic) -> Result<Vec<Story>> {
    let names: Vec<&str> = match traffic {
        Traffic::Mixed => scenarios::list().iter().map(|scenario| scenario.name).collect(),
        _ => vec!["checkout"],
    };
    let drawn = if traffic == Traffic::Mixed { 8 } else { 64 };
    (0..drawn).flat_map(|seed| names.iter().map(move |name| Story::draw(name, seed))).collect()
}

/// A scenario's stream, ready to be copied.
struct Story {
    parts: Vec<Part>,
}

/// One event, and where in it the letters stand that make ids unique.
struct Part {
    body: Vec<u8>,
    stems: Vec<usize>,
    sessions: Vec<usize>,
    references: Vec<usize>,
    own_id: usize,
}

impl Story {
    fn draw(name: &str, seed: u64) -> Result<Self> {
        let stream = scenarios::play(name, &mut StdRng::seed_from_u64(seed), chrono::Utc::now().timestamp())
            .with_context(|| format!("the sample shop has no scenario {name}"))?;
        let (purchase, events) = (stream.purchase, stream.events);
        let parts = events.into_iter().map(|event| {
            let body = event.body;
            let places = |needle: &str, skip: usize| body.match_indices(needle).map(|(at, _)| at + skip).collect();
            let own_id = body.find(&event.id).context("an event without its id")? + "evt_3".len() + STEM + SHOP.len();
            Ok(Part {
                stems: body.match_indices(SHOP).map(|(at, _)| at - STEM).collect(),
                sessions: places(&purchase.session, "cs_test_a1".len()),
                references: places(&purchase.reference, "CS-".len()),
                own_id,
                body: body.into_bytes(),
            })
        });
        Ok(Self { parts: parts.collect::<Result<_>>()? })
    }
}

impl Part {
    /// The same event of the stream number `n`.
    fn about(&self, n: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        let (stem, session) = (letters::<STEM>(EPOCH + n), letters::<10>(scatter(n)));
        let reference = format!("{:09}", 100_000_000 + n.wrapping_mul(387_420_489) % 900_000_000);
        self.stems.iter().for_each(|at| body[*at..at + STEM].copy_from_slice(&stem));
        self.sessions.iter().for_each(|at| body[*at..at + 10].copy_from_slice(&session));
        self.references.iter().for_each(|at| body[*at..at + 9].copy_from_slice(reference.as_bytes()));
        body
    }

    /// The same event about the same order, under an id of its own.
    fn once_more(&self, n: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        body[self.own_id..self.own_id + 8].copy_from_slice(&letters::<8>(n));
        body
    }
}

/// `n` in as many letters of base 62, the greatest place first; they sort as the numbers do.
fn letters<const N: usize>(mut n: u64) -> [u8; N] {
    let mut letters = [b'0'; N];
    for letter in letters.iter_mut().rev() {
        *letter = BASE62[usize::try_from(n % 62).unwrap_or_default()];
        n /= 62;
    }
    letters
}

/// A number that looks random, another one for each `n`.
fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n ^ (n >> 29)
}
