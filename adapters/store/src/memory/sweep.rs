//! The task that gives back the memory of what has expired.

use std::{
    future::{Future, poll_fn},
    mem,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use cloakroom_runtime::Runtime;

use super::{Inner, SHARDS, lock};

/// Sweeps as long as the store is there, which it does not keep.
pub(super) async fn sweep(store: Weak<Inner>, runtime: Arc<dyn Runtime>, every: Duration) {
    loop {
        runtime.sleep(every).await;
        for shard in 0..SHARDS {
            loop {
                let Some(store) = store.upgrade() else { return };
                if !store.sweep_batch(shard) {
                    break;
                }
                drop(store);
                // Futures of the same thread want to go on as well.
                give_way().await;
            }
        }
    }
}

impl Inner {
    /// Tells whether there is more.
    fn sweep_batch(&self, shard: usize) -> bool {
        let mut shard = lock(&self.shards[shard]);
        let swept = shard.expire(self.now(), &self.room, &self.hasher);
        if !swept.has_more {
            shard.shrink(&self.hasher);
        }
        swept.has_more
    }
}

fn give_way() -> impl Future<Output = ()> {
    let mut gave_way = false;
    poll_fn(move |context| {
        if mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
