//! What one event costs in the functions that each event runs through, in time and in allocations: verify, parse, take
//! the facts, merge, derive; and what a mail costs.
//!
//! The events are a card checkout of the sample shop; the figures of verify, parse and take are those of its charge.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::config::Secret;
use ringup::dev::scenarios;
use ringup::notices::Kind;
use ringup::orders::{self, Facts, Labelling, Order, Taken};
use ringup::outbox::Templates;
use ringup::source::{signature, stripe};

const SECRET: &str = "whsec_of_the_benchmark";
const NOW: i64 = 1_790_000_000;

fn main() -> anyhow::Result<()> {
    let stream = scenarios::play("checkout", &mut StdRng::seed_from_u64(1), NOW);
    let bodies: Vec<String> = stream.into_iter().flat_map(|stream| stream.events).map(|event| event.body).collect();
    let charge = bodies.get(1).map(String::as_bytes).ok_or(anyhow::anyhow!("a checkout without a charge"))?;
    let labelling = Labelling::default();
    let mut known: Vec<Facts> = Vec::new();
    for body in &bodies {
        match orders::take(&stripe::parse(body.as_bytes())?, &labelling) {
            Taken::Facts(facts) => known.push(facts),
            other => anyhow::bail!("a checkout's event has no facts: {other:?}"),
        }
    }
    let (first, rest) = known.split_first().ok_or(anyhow::anyhow!("a checkout without events"))?;
    let mut whole = first.clone();
    for facts in rest {
        whole.merge(facts);
    }
    let group = whole.clone().groups().pop().ok_or(anyhow::anyhow!("a checkout without an order"))?;
    let stored = serde_json::to_string(&whole)?;
    let header = signature::sign(SECRET, NOW, charge);
    let secrets = [Secret::new(SECRET).ok_or(anyhow::anyhow!("a blank secret"))?];
    let event = stripe::parse(charge)?;
    let templates = Templates::load(None)?;

    let mut criterion = Criterion::default().configure_from_args();
    let bytes = Some(charge.len());
    let c = &mut criterion;
    bench(c, "verify", bytes, || signature::verify(Some(header.as_bytes()), charge, &secrets, NOW, Some(300)));
    bench(c, "parse", bytes, || stripe::parse(charge));
    bench(c, "take the facts", bytes, || orders::take(&event, &labelling));
    bench(c, "merge four events", None, || {
        let mut facts = first.clone();
        for more in rest {
            facts.merge(more);
        }
        facts
    });
    bench(c, "references", None, || whole.references());
    bench(c, "group", None, || whole.clone().groups());
    bench(c, "derive", None, || Order::derive(&group.name, &group.facts));
    bench(c, "due", None, || orders::due(&whole));
    bench(c, "write the facts as JSON", None, || serde_json::to_string(&whole));
    bench(c, "read the facts from JSON", Some(stored.len()), || serde_json::from_str::<Facts>(&stored));
    bench(c, "render a mail", None, || templates.preview(&Kind::OrderPaid, Some("de")));
    criterion.final_summary();
    Ok(())
}

/// Times `work`, and says what one call of it allocates.
fn bench<T>(criterion: &mut Criterion, name: &str, bytes: Option<usize>, work: impl Fn() -> T) {
    drop(black_box(work()));
    let info = allocation_counter::measure(|| drop(black_box(work())));
    println!("{name}: {} allocations, {} bytes a call", info.count_total, info.bytes_total);
    let mut group = criterion.benchmark_group("hot");
    if let Some(bytes) = bytes {
        group.throughput(Throughput::Bytes(bytes as u64));
    }
    group.bench_function(name, |bencher| bencher.iter(|| black_box(work())));
    group.finish();
}
