//! No store: sessions are off.

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value, Version};

use crate::{
    error::{Fault, StoreError},
    store::{Created, Removed, Store, Written},
};

/// A store that keeps nothing: sessions are off, and every operation is an error that says so.
///
/// Nothing ever happened: the errors are [failed](StoreError::failed), the fault is [`Fault::Refused`]. A request that never
/// touches its session, or comes without a ticket and only reads, is served as ever; any other is refused, or served with an empty session that cannot be written,
/// as [`StoreFailure`](crate::StoreFailure) says. It is no place for tests to throw sessions at: an empty store would
/// sign people out without a word.
///
/// ```
/// # use std::time::Duration;
/// use cloakroom_store::{Fault, NullStore, Store as _};
/// # use cloakroom_core::StoreKey;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let error = NullStore.load(&StoreKey::new("key").unwrap()).await.unwrap_err();
/// assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct NullStore;

impl Store for NullStore {
    async fn load(&self, _: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Err(off())
    }

    async fn create(&self, _: &StoreKey, _: &Value, _: Duration) -> Result<Created, StoreError> {
        Err(off())
    }

    async fn replace(&self, _: &StoreKey, _: &Version, _: &Value, _: Duration) -> Result<Written, StoreError> {
        Err(off())
    }

    async fn touch(&self, _: &StoreKey, _: &Version, _: &Value, _: Duration) -> Result<Written, StoreError> {
        Err(off())
    }

    async fn remove(&self, _: &StoreKey, _: &Version) -> Result<Removed, StoreError> {
        Err(off())
    }
}

fn off() -> StoreError {
    StoreError::failed(Fault::Refused).with_source("sessions are off: there is no store")
}
