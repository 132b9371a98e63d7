//! The task that gives back the memory of what has expired.

use std::{
    future::{Future, poll_fn},
    mem,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use cloakroom_runtime::Runtime;

use super::{Inner, SHARDS, listing::Listing, lock};

/// Sweeps as long as the store is there, which it does not keep.
pub(super) async fn sweep(store: Weak<Inner>, runtime: Arc<dyn Runtime>, every: Duration) {
    loop {
        runtime.sleep(every).await;
        for shard in 0..SHARDS {
            let mut next = Some(Listing::default());
            while let Some(from) = next {
                let Some(store) = store.upgrade() else { return };
                next = store.sweep_batch(shard, from);
                if next.is_none() {
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
    /// Tells where to go on, when there is more.
    fn sweep_batch(&self, shard: usize, from: Listing) -> Option<Listing> {
        let mut shard = lock(&self.shards[shard]);
        let swept = shard.expire(self.now(), from, &self.room, &self.hasher);
        if swept.next.is_none() {
            shard.shrink(&self.hasher);
        }
        swept.next
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
