//! What all connections of a store share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use cloakroom_runtime::Runtime;

/// The settings that do not say where the servers are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) check_server: bool,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) key_prefix: String,
}

pub(crate) struct Env {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) settings: Settings,
    /// Whether it was said that memory is all there is, or need not be.
    pub(crate) is_told_of_memory: AtomicBool,
    /// Whether it was said that a server evicts, or need not be.
    pub(crate) is_told_of_evictions: AtomicBool,
    questions: AtomicU32,
}

impl Env {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, settings: Settings) -> Arc<Self> {
        let is_told = || AtomicBool::new(!settings.check_server);
        let (is_told_of_memory, is_told_of_evictions) = (is_told(), is_told());
        Arc::new(Self { runtime, settings, is_told_of_memory, is_told_of_evictions, questions: AtomicU32::new(0) })
    }

    /// Returns a number for the next question.
    pub(crate) fn number(&self) -> u32 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }
}
