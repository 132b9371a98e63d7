//! A store that keeps nothing, for sessions that are held in the cookie alone.

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value, Version};

use crate::{
    error::StoreError,
    store::{Created, Removed, Store, Written},
};

/// A store of revocations that keeps none: every operation succeeds, and nothing is ever there.
///
/// It is for engines that hold sessions in the cookie
/// ([`EngineBuilder::hold_in_cookie`](cloakroom_core::EngineBuilder::hold_in_cookie)) and for no others, whose sessions would
/// be gone with the response.
///
/// With it **an end is not final**. A logout removes the cookie from the browser that asked, and whoever copied the cookie
/// before opens the session again, as it was then, until its idle time or its absolute deadline is over; the same holds after
/// an elevation, a change of the password and the end of all sessions. Where that matters, and it does wherever people sign
/// in (ASVS 7.4.1), give [`Sessions::builder`](crate::Sessions::builder) a real store in its place: it keeps what was ended, and
/// nothing else.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct CookieOnly;

impl CookieOnly {
    const VERSION: Version = Version::from_u64(0);
}

impl Store for CookieOnly {
    async fn load(&self, _: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Ok(None)
    }

    async fn create(&self, _: &StoreKey, _: &Value, _: Duration) -> Result<Created, StoreError> {
        Ok(Created::Done(Self::VERSION))
    }

    async fn replace(&self, _: &StoreKey, _: &Version, _: &Value, _: Duration) -> Result<Written, StoreError> {
        Ok(Written::Absent)
    }

    async fn touch(&self, _: &StoreKey, _: &Version, _: &Value, _: Duration) -> Result<Written, StoreError> {
        Ok(Written::Absent)
    }

    async fn remove(&self, _: &StoreKey, _: &Version) -> Result<Removed, StoreError> {
        Ok(Removed::Absent)
    }
}
