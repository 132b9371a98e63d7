//! Counters, as Prometheus reads them.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use cloakroom_core::OpKind;
use cloakroom_http::protocol::fault_word;
use cloakroom_store::Fault;

use super::refusal::Refusal;

const OPS: [OpKind; 8] = [
    OpKind::Create,
    OpKind::Enroll,
    OpKind::List,
    OpKind::Load,
    OpKind::Remove,
    OpKind::Replace,
    OpKind::Touch,
    OpKind::Unenroll,
];
const OUTCOMES: [&str; 9] =
    ["absent", "conflict", "done", "exists", "failed", "found", "listed", "unknown", "unsupported"];
const FAULTS: [Fault; 5] = [Fault::Full, Fault::Internal, Fault::Refused, Fault::TimedOut, Fault::Unavailable];

/// What was counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    answered: [[AtomicU64; OUTCOMES.len()]; OPS.len()],
    failed: [AtomicU64; FAULTS.len()],
    refused: [AtomicU64; Refusal::WORDS.len()],
    connections: AtomicU64,
    closed: AtomicU64,
}

impl Metrics {
    pub(super) fn answered(&self, op: OpKind, outcome: &str) {
        let place = (OPS.iter().position(|&known| known == op), OUTCOMES.iter().position(|&known| known == outcome));
        if let (Some(op), Some(outcome)) = place {
            add(&self.answered[op][outcome]);
        }
    }

    pub(super) fn failed(&self, fault: Fault) {
        if let Some(place) = FAULTS.iter().position(|&known| known == fault) {
            add(&self.failed[place]);
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        add(&self.refused[refusal.place()]);
    }

    pub(super) fn opened(&self) {
        add(&self.connections);
    }

    pub(super) fn closed(&self) {
        add(&self.closed);
    }

    /// Writes them down.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        head(&mut text, "operations_total", "counter", "Operations on the store, by how they ended.");
        for (op, outcomes) in OPS.iter().zip(&self.answered) {
            for (outcome, count) in OUTCOMES.iter().zip(outcomes).filter(|(_, count)| load(count) > 0) {
                let labels = format!("operation=\"{}\",outcome=\"{outcome}\"", op.name());
                line(&mut text, &format!("operations_total{{{labels}}}"), load(count));
            }
        }
        head(&mut text, "store_failures_total", "counter", "Failures of the store, by whose fault they were.");
        for (&fault, count) in FAULTS.iter().zip(&self.failed) {
            line(&mut text, &format!("store_failures_total{{fault=\"{}\"}}", fault_word(fault)), load(count));
        }
        head(&mut text, "refusals_total", "counter", "Requests that never reached the store.");
        for (word, count) in Refusal::WORDS.iter().zip(&self.refused) {
            line(&mut text, &format!("refusals_total{{error=\"{word}\"}}"), load(count));
        }
        head(&mut text, "connections_total", "counter", "Connections that were let in.");
        let opened = load(&self.connections);
        line(&mut text, "connections_total", opened);
        head(&mut text, "connections", "gauge", "Connections that are open.");
        line(&mut text, "connections", opened.saturating_sub(load(&self.closed)));
        text
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP cloakroom_{name} {help}\n# TYPE cloakroom_{name} {kind}");
}

fn line(text: &mut String, name: &str, count: u64) {
    let _ = writeln!(text, "cloakroom_{name} {count}");
}
