//! What the writers know by heart, and what a batch comes to by it, worked out while the batch before is written.
//!
//! It is worked out as if all before it were written already just as they were worked out. Where one was not, the heart's
//! age changes, and what was worked out at another age counts no more. A heart is of one connection.

use super::Submission;
use crate::orders::{self, Asked, Incoming, Memory, Names, Ready, Settings};
use crate::outbox::Listeners;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After a batch that could not be written by heart, batches look for so long: others write the same orders, events repeat
/// or concern older orders, or somebody has just subscribed.
const DOUBT: Duration = Duration::from_millis(250);

fn doubt() -> Duration {
    fail::fail_point!("intake.no_doubt", |_| Duration::ZERO);
    DOUBT
}

/// After the quick way has failed, all go the careful way for so long: whoever was in the way will be again.
const CAUTION: Duration = Duration::from_secs(2);

/// What the last batches have left known.
#[derive(Default)]
pub(super) struct Heart {
    orders: Memory,
    listeners: Option<Arc<Listeners>>,
    doubted_until: Option<Instant>,
    careful_until: Option<Instant>,
    /// A batch is being written of which it is not known what it comes to.
    is_uncertain: bool,
    /// Changes whenever something that batches were worked out by turns out otherwise.
    age: u64,
    /// How many batches were begun. The desk has a batch worked out whole before the next is begun; this refuses it otherwise.
    batches: u64,
}

/// What the first submissions of a batch come to, by heart.
#[derive(Default)]
pub(super) struct Worked {
    count: usize,
    age: u64,
    batch: u64,
    /// None where it can't be told by heart.
    ready: Option<Ready>,
    listeners: Arc<Listeners>,
}

/// What a batch comes to by heart: to be written only where all that it rests on is still so.
pub(super) struct ByHeart {
    pub ready: Ready,
    pub listeners: Arc<Listeners>,
}

/// What both writers know.
pub(super) type SharedHeart = Arc<Mutex<Heart>>;

/// What is known, for as long as the value lives.
pub(super) fn know(heart: &Mutex<Heart>) -> MutexGuard<'_, Heart> {
    heart.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_over(end: Option<Instant>) -> bool {
    end.is_none_or(|end| Instant::now() >= end)
}

impl Heart {
    /// Works out what those of `batch` come to that `worked` has not yet, unless there is doubt. Where one of them can't
    /// be told by heart, none of them is.
    pub fn work_out(&mut self, worked: &mut Worked, settings: &Settings, batch: &[&Submission]) {
        let is_doubted = self.is_uncertain || !is_over(self.doubted_until) || self.is_careful();
        if is_doubted || worked.count == batch.len() || (worked.count > 0 && !self.goes_on(worked)) {
            return;
        }
        let Some(listeners) = &self.listeners else { return };
        if worked.count == 0 {
            self.batches += 1;
            *worked = Worked {
                age: self.age,
                batch: self.batches,
                ready: Some(Ready::default()),
                listeners: Arc::clone(listeners),
                count: 0,
            };
        }
        let earlier = worked.ready.take().unwrap_or_default();
        worked.ready = self.follow(earlier, settings, &batch[worked.count..]);
        worked.count = batch.len();
    }

    /// Nothing has come between.
    fn goes_on(&self, worked: &Worked) -> bool {
        worked.age == self.age && worked.batch == self.batches && worked.ready.is_some()
    }

    fn follow(&mut self, mut earlier: Ready, settings: &Settings, batch: &[&Submission]) -> Option<Ready> {
        let plain = batch.iter().filter(|submission| submission.is_plain());
        let incoming: Vec<&Incoming> = plain.filter_map(|submission| submission.incoming.as_ref()).collect();
        let asked = Asked::of(&incoming);
        let (ready, names) = orders::ready_by_heart(settings, &asked, &incoming, &self.orders)?;
        earlier.follow(ready, names, &mut self.orders, settings);
        Some(earlier)
    }

    /// What `batch` comes to, where `worked` says it of all of it and nothing has turned out otherwise since. Else what was
    /// worked out of it is forgotten.
    pub fn confirm(&mut self, worked: Worked, batch: &[&Submission]) -> Option<ByHeart> {
        let counts = worked.count == batch.len() && worked.age == self.age;
        let ready = worked.ready.filter(|_| counts);
        if ready.is_none() && worked.count > 0 {
            self.forget(batch);
        }
        ready.map(|ready| ByHeart { ready, listeners: worked.listeners })
    }

    /// What was worked out of the orders that a batch is about did not come true, or they are about to be written another
    /// way.
    pub fn forget(&mut self, batch: &[&Submission]) {
        let incoming: Vec<&Incoming> = batch.iter().filter_map(|submission| submission.incoming.as_ref()).collect();
        self.orders.forget_those(&Asked::of(&incoming));
        self.age += 1;
    }

    /// What was known has turned out wrong.
    pub fn doubt(&mut self) {
        self.doubted_until = Some(Instant::now() + doubt());
    }

    /// Nobody may trust to being the only one who writes.
    pub fn take_care(&mut self) {
        self.careful_until = Some(Instant::now() + CAUTION);
    }

    /// All are to go the careful way.
    pub fn is_careful(&self) -> bool {
        !is_over(self.careful_until)
    }

    /// Until [`Heart::end_look`] nobody can tell what is written; what was worked out without it counts no more.
    pub fn begin_look(&mut self) {
        self.is_uncertain = true;
        self.age += 1;
    }

    /// The look has ended, one way or the other.
    pub fn end_look(&mut self) {
        self.is_uncertain = false;
    }

    /// Who hears of notices.
    pub fn hear(&mut self, listeners: &Arc<Listeners>) {
        self.listeners = Some(Arc::clone(listeners));
    }

    /// What was written after a look.
    pub fn learn(&mut self, ready: &Ready, names: Names<'_>, settings: &Settings) {
        ready.remember(names, &mut self.orders, settings);
    }

    /// Knows no order any more: something went wrong half-way.
    pub fn lose(&mut self) {
        self.orders = Memory::default();
        self.age += 1;
        self.doubt();
    }
}
