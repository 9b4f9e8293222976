//! From one edition of the order law to the next: which messages stand for the same news under another key, and which
//! are owed no more. Pure.

use super::due::key;
use super::facts::dispute::Status as Verdict;
use super::facts::refund::Refund;
use super::reading::Reading;
use crate::notices::{Kind, Notice, Only};
use crate::outbox::Renamed;
use std::collections::BTreeSet;
use uuid::Uuid;

const REFUNDS: [Kind; 2] = [Kind::OrderRefunded, Kind::OrderPartiallyRefunded];

/// What an order that is made anew still owes; all else that waits in the outbox is withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The order.
    pub order: Uuid,
    /// The keys of its notices, under all of their names.
    pub owed: Vec<String>,
    /// Those of them that go to programs alone.
    pub unmailed: Vec<String>,
}

impl Settled {
    /// By the notices that the order owes.
    pub fn new<'a>(order: Uuid, owed: impl Iterator<Item = &'a Notice>) -> Self {
        let mut settled = Self { order, ..Self::default() };
        for notice in owed {
            settled.owed.extend(std::iter::once(&notice.key).chain(&notice.also).cloned());
            settled.unmailed.extend(mailed_before(notice));
        }
        settled
    }
}

/// The key of a notice that the first edition told by mail, and this one tells programs alone.
pub fn mailed_before(notice: &Notice) -> Option<String> {
    (notice.unmailed && notice.kind == Kind::OrderRefunded).then(|| notice.key.clone())
}

/// What may have told of these refunds while less was known: as a sum that a refund explains by now, or as a part of
/// what turned out to be the whole.
pub fn told_otherwise(owed: &[&Notice]) -> Vec<Renamed> {
    let still: BTreeSet<&str> = owed.iter().map(|notice| &notice.key[..]).collect();
    let mut renamed = Vec::new();
    for notice in owed.iter().filter(|notice| REFUNDS.contains(&notice.kind)) {
        let Ok(about) = serde_json::to_string(&notice.about) else { continue };
        let alike = match &notice.only {
            Some(Only::FewerThan { keys, .. }) => &keys[..],
            _ => &[],
        };
        let names: BTreeSet<&String> = notice.also.iter().chain(alike).collect();
        let names = names.into_iter().filter(|name| !still.contains(&name[..]));
        renamed.extend(names.map(|from| Renamed { from: from.clone(), to: notice.key.clone(), about: about.clone() }));
    }
    renamed
}

/// What the first edition told of these facts under other keys: a refund of the whole under its payment's name, and an
/// inquiry's end under the dispute's. `owed` are the notices that these facts owe now.
pub fn renamed(reading: &Reading<'_>, owed: &[&Notice]) -> Vec<Renamed> {
    let mut renamed = Vec::new();
    let mut rename = |from: String, to: String| {
        let told = owed.iter().find(|notice| notice.key == to);
        let about = told.and_then(|notice| serde_json::to_string(&notice.about).ok());
        renamed.extend(about.map(|about| Renamed { from, to, about }));
    };
    let still: BTreeSet<&str> = owed.iter().map(|notice| &notice.key[..]).collect();
    for attempt in &reading.attempts {
        for payment in attempt.payments.iter().filter(|payment| payment.paid > 0) {
            let whole = |(_, refund): &&(&str, &Refund)| refund.succeeded && refund.now.is.amount >= payment.paid;
            let first = payment.refunds.iter().filter(whole).min_by_key(|(id, refund)| (refund.now.is.created, *id));
            let Some((refund, _)) = first else { continue };
            for name in std::iter::once(&payment.name).chain(&payment.also) {
                let from = key(&Kind::OrderRefunded, name);
                if !still.contains(&from[..]) {
                    rename(from, key(&Kind::OrderRefunded, refund));
                }
            }
        }
        for (id, dispute) in &attempt.component.disputes {
            if dispute.now.is.status == Verdict::WarningClosed {
                let from = key(&Kind::OrderDisputeClosed, id);
                let to = format!("{from}:warning_closed");
                rename(from, to);
            }
        }
    }
    renamed
}
