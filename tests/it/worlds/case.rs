//! A world, and how its deliveries arrive.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use stripe_simulator::{
    ApiVersion, Delivery, OrderBook, World, delivery_of, play, scripts, world, world_with_releases,
};

use super::ids::is_address;

/// What happens after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    None,
    /// What is due is sent.
    Short,
    /// Every grace ends, and all is sent.
    Long,
}

/// A world and its deliveries.
pub struct Case {
    pub name: String,
    pub seed: u64,
    pub world: World,
    pub version: ApiVersion,
    /// Places of the deliveries in the world.
    pub sequence: Vec<usize>,
    /// Whether a batch ends after it.
    pub cuts: Vec<bool>,
    pauses: Vec<Pause>,
}

impl Case {
    /// What happens after the `n`th delivery. A long pause is only between moments, else it is a short one.
    pub fn pause(&self, n: usize) -> Pause {
        match self.pauses[n] {
            Pause::Long if !self.is_between_moments(n) => Pause::Short,
            pause => pause,
        }
    }

    /// Whether no payment is half told: its intent, its invoices and their links are of one moment, and Stripe tries to
    /// deliver each within the grace. Whatever comes later than that is told apart from what it belongs to: nothing
    /// links it.
    fn is_between_moments(&self, n: usize) -> bool {
        let linked = ["payment_intent.succeeded", "invoice.paid", "invoice.payment_succeeded", "invoice_payment.paid"];
        let told = |at: &usize| match &self.world.deliveries[*at] {
            Delivery::Event(event) if linked.contains(&&event.kind[..]) => Some(event.created),
            _ => None,
        };
        let (before, after) = self.sequence.split_at(n + 1);
        let new: Vec<i64> = after.iter().filter(|at| !before.contains(at)).filter_map(told).collect();
        before.iter().filter_map(told).all(|known| new.iter().all(|created| (known - created).abs() > 5))
    }

    /// The customers' addresses that the first `count` deliveries tell of an order: those that name any of its objects.
    pub fn addresses(&self, count: usize, book: &OrderBook) -> BTreeSet<&str> {
        let names: Vec<&String> = book.also_known_as.iter().chain([&book.reference]).collect();
        let mut addresses = BTreeSet::new();
        for at in &self.sequence[..count] {
            match &self.world.deliveries[*at] {
                Delivery::Event(event) => {
                    let mut texts = Vec::new();
                    texts_of(&event.body, &mut texts);
                    if names.iter().any(|name| texts.contains(&&name[..])) {
                        addresses.extend(texts.into_iter().filter(|text| is_address(text)));
                    }
                }
                Delivery::Put { reference, body, .. } if names.contains(&reference) => {
                    addresses.extend(body["email"].as_str());
                }
                Delivery::Put { .. } | Delivery::Release { .. } => {}
            }
        }
        addresses
    }

    /// The deliveries for people to read, with what happens after each.
    pub fn lines(&self) -> Vec<String> {
        let line = |at: usize| match &self.world.deliveries[at] {
            Delivery::Event(event) => {
                let (object, before) = (&event.body["data"]["object"], &event.body["data"]["previous_attributes"]);
                let sums = format!("{} {}", before["amount_refunded"], object["amount_refunded"]);
                let (id, status, amount) = (&object["id"], &object["status"], &object["amount"]);
                format!("{at}: {} {} {id} {status} {amount} {sums}", event.created, event.kind)
            }
            other => format!("{at}: {other:?}"),
        };
        let end = |n: usize| if self.cuts[n] { format!(" | {:?}", self.pause(n)) } else { String::new() };
        self.sequence.iter().enumerate().map(|(n, at)| line(*at) + &end(n)).collect()
    }
}

fn texts_of<'a>(body: &'a Value, texts: &mut Vec<&'a str>) {
    match body {
        Value::Array(all) => all.iter().for_each(|one| texts_of(one, texts)),
        Value::Object(fields) => fields.values().for_each(|one| texts_of(one, texts)),
        Value::String(text) => texts.push(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The world of that seed; in each third one a person releases orders.
pub fn drawn(seed: u64) -> Case {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let script =
        if seed.is_multiple_of(3) { draw(&mut runner, &world_with_releases()) } else { draw(&mut runner, &world()) };
    let world = play(&script);
    let (sequence, cuts) = draw(&mut runner, &delivery_of(&world));
    let pause = proptest::sample::select(vec![Pause::None, Pause::Short, Pause::Long]);
    let pauses = draw(&mut runner, &proptest::collection::vec(pause, sequence.len()));
    Case { name: format!("seed {seed}"), seed, version: script.version, world, sequence, cuts, pauses }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// The fixed scripts in their sequence, each with every kind of pause.
pub fn fixed() -> Vec<Case> {
    let all = scripts::all();
    let pauses = [Pause::None, Pause::Short, Pause::Long];
    let each = all.iter().flat_map(|fixed| pauses.map(|pause| (fixed, pause)));
    each.map(|(fixed, pause)| {
        let world = play(&fixed.script);
        let count = world.deliveries.len();
        Case {
            name: format!("{} ({pause:?} pauses)", fixed.name),
            seed: 0,
            version: fixed.script.version,
            world,
            sequence: (0..count).collect(),
            cuts: vec![true; count],
            pauses: vec![pause; count],
        }
    })
    .collect()
}
