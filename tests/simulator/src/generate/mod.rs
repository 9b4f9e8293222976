//! Random scripts: one to three stories of buyers, woven into one another.

mod after;
mod anything;
mod delivery;
mod invoices;
mod payments;
mod story;

use proptest::prelude::*;

pub use delivery::{delivery, delivery_of};
use story::{Story, story};

use crate::{Account, Action, ApiVersion, EventIds, Script};

/// Scripts of one to three orders or buyers, in any API version.
pub fn world() -> impl Strategy<Value = Script> {
    proptest::sample::select(ApiVersion::ALL.to_vec()).prop_flat_map(script_for)
}

/// The same, and a person releases orders: deliver them by [`delivery_of`].
pub fn world_with_releases() -> impl Strategy<Value = Script> {
    proptest::sample::select(ApiVersion::ALL.to_vec()).prop_flat_map(|version| scripts(version, true))
}

/// Scripts in one API version.
pub fn script_for(version: ApiVersion) -> impl Strategy<Value = Script> {
    scripts(version, false)
}

fn scripts(version: ApiVersion, released: bool) -> impl Strategy<Value = Script> {
    let ids = prop_oneof![
        8 => any::<u64>().prop_map(EventIds::Shuffled),
        1 => Just(EventIds::Ascending),
        1 => Just(EventIds::Descending),
    ];
    (ids, any::<bool>(), accounts().prop_flat_map(move |accounts| stories(accounts, released)))
        .prop_map(move |(ids, livemode, actions)| Script { version, ids, livemode, actions })
}

/// The accounts of a world: its own, connected ones beside it, or those of an organization.
fn accounts() -> impl Strategy<Value = Vec<Account>> {
    let connected = |id: &str| Account::Connected(id.into());
    let organization = |id: &str| Account::Organization(id.into());
    prop_oneof![
        6 => Just(vec![Account::Own]),
        1 => Just(vec![Account::Own, connected("acct_1Ada"), connected("acct_1Bob")]),
        1 => Just(vec![organization("acct_1Ada"), organization("acct_1Bob")]),
        1 => Just(vec![organization("org_6Sim/acct_1Ada"), organization("org_6Sim/acct_1Bob")]),
    ]
}

fn stories(accounts: Vec<Account>, released: bool) -> impl Strategy<Value = Vec<Action>> {
    let one = move |number: u16, accounts: Vec<Account>| {
        let currency = proptest::sample::select(vec!["usd", "eur", "jpy"]);
        (proptest::sample::select(accounts), currency)
            .prop_flat_map(move |(account, currency)| story(Story { number, account, currency, released }))
    };
    let many = prop_oneof![
        4 => one(1, accounts.clone()).prop_map(|story| vec![story]),
        3 => (one(1, accounts.clone()), one(2, accounts.clone())).prop_map(|(a, b)| vec![a, b]),
        1 => (one(1, accounts.clone()), one(2, accounts.clone()), one(3, accounts)).prop_map(|(a, b, c)| vec![a, b, c]),
    ];
    many.prop_flat_map(|stories| {
        let steps: usize = stories.iter().map(|(_, actions)| actions.len()).sum();
        let turns = proptest::collection::vec((0..stories.len(), pause()), steps);
        turns.prop_map(move |turns| weave(&stories, &turns))
    })
}

/// Seconds between two actions: often none.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 2 => 1..=5_i64, 1 => Just(90), 1 => Just(86_400)]
}

/// Takes the stories' actions by turns; each story keeps its own sequence.
fn weave(stories: &[(Account, Vec<Action>)], turns: &[(usize, i64)]) -> Vec<Action> {
    let mut next = vec![0; stories.len()];
    let mut account = &Account::Own;
    let mut woven = Vec::new();
    for (turn, pause) in turns {
        let with_more = (0..stories.len()).map(|step| (turn + step) % stories.len());
        let Some(teller) = with_more.into_iter().find(|teller| next[*teller] < stories[*teller].1.len()) else { break };
        let (home, actions) = &stories[teller];
        if *pause > 0 {
            woven.push(Action::Wait(*pause));
        }
        if home != account {
            woven.push(Action::In(home.clone()));
            account = home;
        }
        woven.push(actions[next[teller]].clone());
        next[teller] += 1;
    }
    woven.push(Action::Rest);
    woven
}

/// The same random scripts each time, for tests that look at many.
#[cfg(test)]
pub(crate) fn samples(count: usize) -> Vec<Script> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let world = world();
    (0..count).map(|_| world.new_tree(&mut runner).expect("a script can be made").current()).collect()
}

#[cfg(test)]
mod tests;
