//! How deliveries arrive: each at least once, some twice, in any sequence, in batches.

use proptest::prelude::*;

use crate::{Delivery, World};

/// Indices below `count`, each at least once, and after which of them a batch ends.
pub fn delivery(count: usize) -> impl Strategy<Value = (Vec<usize>, Vec<bool>)> {
    stretch((0..count).collect()).prop_flat_map(with_cuts)
}

/// The same for a world in which a person releases orders: a release keeps its place, since it is of what arrived before.
pub fn delivery_of(world: &World) -> impl Strategy<Value = (Vec<usize>, Vec<bool>)> + use<> {
    let mut stretches: Vec<BoxedStrategy<Vec<usize>>> = Vec::new();
    let mut open = Vec::new();
    for (index, delivery) in world.deliveries.iter().enumerate() {
        if matches!(delivery, Delivery::Release { .. }) {
            stretches.push(stretch(std::mem::take(&mut open)));
            stretches.push(Just(vec![index]).boxed());
        } else {
            open.push(index);
        }
    }
    stretches.push(stretch(open));
    stretches.prop_flat_map(|stretches| with_cuts(stretches.concat()))
}

fn stretch(indices: Vec<usize>) -> BoxedStrategy<Vec<usize>> {
    if indices.is_empty() {
        return Just(indices).boxed();
    }
    let doubled = proptest::collection::vec(proptest::sample::select(indices.clone()), 0..=indices.len().div_ceil(4));
    doubled.prop_flat_map(move |doubled| Just([indices.clone(), doubled].concat()).prop_shuffle()).boxed()
}

fn with_cuts(order: Vec<usize>) -> impl Strategy<Value = (Vec<usize>, Vec<bool>)> {
    let cuts = proptest::collection::vec(proptest::bool::weighted(0.3), order.len());
    (Just(order), cuts)
}
