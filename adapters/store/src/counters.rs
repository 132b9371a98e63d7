//! Counters of what the engine noticed and asked for, over all requests.

use std::sync::atomic::{AtomicU64, Ordering};

use cloakroom_core::{Event, Events, OpKind};

/// What happened so far: events by kind, operations by kind, and failures of the store.
#[derive(Debug, Default)]
pub struct Counters {
    events: [AtomicU64; Event::NAMES.len()],
    events_overflowed: AtomicU64,
    operations: [AtomicU64; Self::OPERATIONS.len()],
    store_failures: AtomicU64,
}

impl Counters {
    const OPERATIONS: [OpKind; 8] = [
        OpKind::Create,
        OpKind::Enroll,
        OpKind::List,
        OpKind::Load,
        OpKind::Remove,
        OpKind::Replace,
        OpKind::Touch,
        OpKind::Unenroll,
    ];

    /// Returns the name and count of every kind of event, those that never happened too.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Event::NAMES.into_iter().zip(self.events.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns how many events were not told apart because one request had too many.
    pub fn events_overflowed(&self) -> u64 {
        self.events_overflowed.load(Ordering::Relaxed)
    }

    /// Returns the name and count of every kind of operation.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.operations.iter().map(|count| count.load(Ordering::Relaxed));
        Self::OPERATIONS.into_iter().map(OpKind::name).zip(counts)
    }

    /// Returns how many operations the store failed or did not answer.
    pub fn store_failures(&self) -> u64 {
        self.store_failures.load(Ordering::Relaxed)
    }

    pub(crate) fn count_events(&self, events: &Events) {
        for event in events.iter() {
            self.events[event.index()].fetch_add(1, Ordering::Relaxed);
        }
        if events.overflow() > 0 {
            self.events_overflowed.fetch_add(events.overflow().into(), Ordering::Relaxed);
        }
    }

    pub(crate) fn count_operation(&self, kind: OpKind) {
        self.operations[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_store_failure(&self) {
        self.store_failures.fetch_add(1, Ordering::Relaxed);
    }
}
