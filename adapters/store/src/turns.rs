//! Turns for commits of one process that want the same session.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_lock::MutexGuardArc;
use cloakroom_core::StoreKey;

/// A queue for each key that somebody queues for.
///
/// Whoever lost against another writer queues here for the rest of its commit. Without that, losers would go on making each
/// other lose: on a store that takes time, most of a crowd would give up.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<StoreKey, Queue>>);

type Queue = Arc<async_lock::Mutex<()>>;

impl Turns {
    /// Waits for a turn, which lasts until it is dropped.
    pub(crate) async fn take(&self, key: &StoreKey) -> Turn<'_> {
        let queue = self.queues().entry(key.clone()).or_default().clone();
        // From here on, whoever stops to wait leaves the queue.
        let mut turn = Turn { turns: self, key: key.clone(), queue, held: None };
        turn.held = Some(turn.queue.lock_arc().await);
        turn
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<StoreKey, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("keys", &self.queues().len()).finish()
    }
}

/// A place in a queue, and in time the turn.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    key: StoreKey,
    queue: Queue,
    held: Option<MutexGuardArc<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        self.held = None;
        // Nobody joins meanwhile; all others who queue hold it as well.
        if Arc::strong_count(&mem::take(&mut self.queue)) == 2 {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_queue_lasts_as_long_as_somebody_is_in_it() {
        let turns = Turns::default();
        let key = StoreKey::new("a").unwrap();
        let first = turns.take(&key).await;
        {
            let mut second = Box::pin(turns.take(&key));
            assert!(second.as_mut().now_or_never().is_none(), "the first has the turn");
            drop(first);
            assert_eq!(turns.queues().len(), 1, "the second is still in it");
            let second = second.await;
            assert!(turns.take(&key).now_or_never().is_none(), "and has the turn");
            assert_eq!(turns.queues().len(), 1);
            drop(second);
        }
        assert_eq!(turns.queues().len(), 0);
    }
}
