//! The task that drops what has expired.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use cloakroom_runtime::Runtime;
use cloakroom_store::StoreError;
use tracing::warn;

use crate::{
    store::Inner,
    write::{Answer, SWEEP, Write, WriteOp},
};

/// Sweeps as long as the store is there, which it does not keep.
pub(crate) async fn sweep(store: Weak<Inner>, runtime: Arc<dyn Runtime>, every: Duration) {
    loop {
        runtime.sleep(every).await;
        loop {
            let Some(inner) = store.upgrade() else { return };
            let step = step(&inner);
            drop(inner);
            match step.await {
                Ok(SWEEP) => {}
                Ok(_) => break,
                Err(error) => {
                    warn!(%error, "what has expired was not swept");
                    break;
                }
            }
        }
    }
}

/// Drops a batch of what has expired, and returns how many it dropped: fewer than [`SWEEP`] at the end.
pub(crate) fn step(inner: &Arc<Inner>) -> impl Future<Output = Result<u64, StoreError>> + Send + use<> {
    let answer = Write::submit(inner, WriteOp::Sweep);
    async {
        match answer.await? {
            Answer::Swept(count) => Ok(count),
            Answer::Absent | Answer::Conflict(_) | Answer::Done(_) | Answer::Indexed => Ok(0),
        }
    }
}
