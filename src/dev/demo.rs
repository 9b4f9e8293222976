//! The sample shop at work: scenarios at a human pace, posted as Stripe would, until the process ends.

use std::time::Duration;

use chrono::Utc;
use log::{info, warn};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::probe::Probe;
use super::scenarios::{self, Stream};

/// How often each scenario happens, in a shop whose every story should be seen within some minutes.
const ODDS: [(&str, u32); 30] = [
    ("checkout", 24),
    ("checkout-async", 2),
    ("checkout-async-pending", 1),
    ("checkout-async-failed", 1),
    ("three-d-secure", 1),
    ("requires-action", 1),
    ("payment-failed", 2),
    ("pending", 1),
    ("cancel", 1),
    ("expired", 1),
    ("authorize", 1),
    ("authorize-capture", 1),
    ("authorize-cancel", 1),
    ("authorize-expire", 1),
    ("bank-transfer", 1),
    ("bank-transfer-partial", 1),
    ("double-payment", 1),
    ("refund-partial", 2),
    ("refund-full", 2),
    ("refund-failed", 1),
    ("dispute-open", 1),
    ("dispute-won", 1),
    ("dispute-lost", 1),
    ("inquiry", 1),
    ("fraud-warning", 1),
    ("review", 1),
    ("subscription", 2),
    ("renewal-recovered", 1),
    ("renewal-failed", 1),
    ("renewal-overpaid", 1),
];

/// Plays purchases for ever. What the receiver answers is logged; a failure is tried again, as Stripe does.
pub async fn run(probe: Probe) {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    // The first minute should show a paid order and its mail.
    let mut next = "checkout";
    loop {
        if let Some(stream) = scenarios::play(next, &mut rng, Utc::now().timestamp()) {
            info!("demo: {next} {}", stream.reference);
            deliver(&probe, &stream, &mut rng).await;
        }
        pause(&mut rng, 3000..8000).await;
        next = draw(&mut rng);
    }
}

async fn deliver(probe: &Probe, stream: &Stream, rng: &mut StdRng) {
    for event in &stream.events {
        while !delivered(probe, &event.kind, event.body.as_bytes()).await {
            pause(rng, 2000..4000).await;
        }
        pause(rng, 50..700).await;
    }
}

async fn delivered(probe: &Probe, kind: &str, body: &[u8]) -> bool {
    match probe.post(body, Utc::now().timestamp()).await {
        Ok(answer) if answer.accepted() => return true,
        Ok(answer) => warn!("demo: {kind} was answered {} {}", answer.status, answer.body),
        Err(error) => warn!("demo: {error:#}"),
    }
    false
}

async fn pause(rng: &mut StdRng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(millis))).await;
}

fn draw(rng: &mut impl Rng) -> &'static str {
    let mut point = rng.random_range(0..ODDS.iter().map(|(_, odds)| odds).sum());
    for (name, odds) in ODDS {
        if point < odds {
            return name;
        }
        point -= odds;
    }
    ODDS[0].0
}

#[cfg(test)]
mod tests {
    use super::{ODDS, scenarios};

    #[test]
    fn the_demo_plays_every_scenario() {
        let names: Vec<_> = scenarios::list().iter().map(|scenario| scenario.name).collect();
        assert_eq!(ODDS.map(|(name, _)| name).to_vec(), names);
    }
}
