//! The protocol: what a key holds while it may be in either store, and how it changes places.
//!
//! A key holds **what the old store has, as long as it has something; after that, what the new store has**. So a write
//! over what the old store has counts from the moment at which the old store has it no more:
//!
//! 1. Load the old value; it must be the one that was read.
//! 2. Claim the key in the new store: create a mark that nobody takes for a session, or take the one that is there.
//! 3. Freeze the old value, after the claim was seen: replace it by itself in a frame that never was. What it says stays the
//!    same, but nobody writes to it in place any more. One that is frozen already is frozen anew.
//! 4. Replace the claim by the value that is written. The claim's version never comes back, so that what lands late, from
//!    whomever, lands on a claim that is gone.
//! 5. Remove the old value, as it was frozen. Only then is the write told as done. If others have frozen it anew, it is
//!    removed in the version that was read **before** the written value was seen to be there still; if others have removed
//!    it, the written value must still be there.
//!
//! ```text
//! old:  plain ─────────────────▶ frozen ─────────────────────────▶ nothing
//! new:  nothing ───▶ claim ─────────────────▶ value (pending) ───▶ value
//!           2               3            4                   5
//! ```
//!
//! Whoever stops on the way leaves what the next can go on with: a claim expires, what is frozen is read and moved on by
//! anybody, and who finds both values finishes the last step before anything else. Steps 1 to 3 change nothing that
//! anybody sees, so a failure there has not happened, whatever may land later.
//!
//! Why so many:
//! * *A claim before the value.* A value that were created outright could be created late: after others had moved the key
//!   on and ended the session, and the tombstone had run out. An operation that was sent may land at any time.
//! * *Frozen after the claim.* Who was slow could claim a key whose session has come and gone in the new store.
//! * *Frozen anew.* What was written may run out before the old value is removed. Whoever then begins again must not have
//!   the old value taken from under them: it would end the session, and they would write it again.
//! * *The old value is removed before anything is told.* It may live longer than the tombstone that was written over it.
//! * *The old store is read first.* Between a look into the new store and one into the old, a key can move: nothing would
//!   be found of a session that is there.

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value, Version};

use super::{
    MovingStore,
    frame::{Mark, freeze, frozen, refuse_marked},
    version::Place,
};
use crate::{
    error::{Fault, StoreError},
    store::{Created, Removed, Store, Written},
};

/// How long the move's own marks live at most: longer than any operation takes.
const MARK_TTL: Duration = Duration::from_secs(60);
/// How often something is begun again because others changed it meanwhile.
const TRIES: usize = 16;

/// What is to be in place of the old value.
#[derive(Clone, Copy)]
pub(super) enum Put<'a> {
    /// The old value, for so long; for as long as it had where none is given.
    AsRead(Option<Duration>),
    /// Nothing.
    Gone,
    /// Another value.
    Given(&'a Value, Duration),
}

/// What the new store has.
enum Found {
    Nothing,
    Mark(Mark, Version),
    Value(Stored),
}

impl<Old: Store, New: Store> MovingStore<Old, New> {
    /// Looks what the key holds, and finishes what somebody left before its last step.
    pub(super) async fn look(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        for _ in 0..TRIES {
            let old = self.find_old(key).await?;
            let (found, is_over) = match self.find_new(key).await? {
                Found::Nothing | Found::Mark(Mark::Claim, _) => (None, false),
                Found::Mark(Mark::Gone, _) => (None, true),
                Found::Value(stored) => (Some(tagged(Place::New, stored)), true),
            };
            let Some(old) = old else { return Ok(found) };
            if !is_over {
                return Ok(Some(read_old(old)));
            }
            match self.old.remove(key, &old.version).await {
                Ok(Removed::Done) => return Ok(found),
                // Who finished may have finished something else.
                Ok(Removed::Absent | Removed::Conflict(_)) => {}
                Err(error) => return Err(error.of_what_did_not_happen()),
            }
        }
        Err(restless())
    }

    /// Stores a value where neither store has one.
    pub(super) async fn put_first(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        if self.find_old(key).await?.is_some() && self.look(key).await?.is_some() {
            return Ok(Created::Exists);
        }
        if self.is_preparing() {
            return Ok(match self.find_new(key).await? {
                Found::Value(_) => Created::Exists,
                Found::Mark(..) | Found::Nothing => match self.old.create(key, value, ttl).await? {
                    Created::Done(version) => Created::Done(Place::Old.tag(&version)),
                    Created::Exists => Created::Exists,
                },
            });
        }
        match self.new.create(key, value, ttl).await? {
            Created::Done(version) => return Ok(Created::Done(Place::New.tag(&version))),
            Created::Exists => {}
        }
        // What a move left behind is in nobody's way, once it is sure that none goes on.
        let Found::Mark(_, mark) = self.find_new(key).await? else { return Ok(Created::Exists) };
        if self.find_old(key).await?.is_some() {
            return Ok(Created::Exists);
        }
        Ok(match self.new.replace(key, &mark, value, ttl).await? {
            Written::Done(version) => Created::Done(Place::New.tag(&version)),
            Written::Absent | Written::Conflict(_) => Created::Exists,
        })
    }

    /// Writes over what the old store has in this version, and moves the key.
    pub(super) async fn put_over(
        &self,
        key: &StoreKey,
        version: &Version,
        put: Put<'_>,
    ) -> Result<Written, StoreError> {
        let Some(old) = self.find_old(key).await?.filter(|old| old.version == *version) else {
            return self.changed(key).await;
        };
        let read = frozen(&old.value).unwrap_or(old.value);
        refuse_marked(&read)?;
        let left = old.expires_in.unwrap_or(Duration::MAX);
        let Some(claim) = self.claim(key, left.min(MARK_TTL)).await? else { return self.changed(key).await };
        let froze = self.old.replace(key, version, &freeze(&read)?, left).await;
        let Written::Done(frozen) = froze.map_err(StoreError::of_what_did_not_happen)? else {
            return self.changed(key).await;
        };
        let (value, ttl) = match put {
            Put::AsRead(ttl) => (read, ttl.unwrap_or(left)),
            Put::Given(value, ttl) => (value.clone(), ttl),
            Put::Gone => (Mark::Gone.make()?, MARK_TTL),
        };
        let Written::Done(written) = self.new.replace(key, &claim, &value, ttl).await? else {
            return self.changed(key).await;
        };
        let finished = self.finish(key, &frozen, &written).await;
        finished.map(|()| Written::Done(Place::New.tag(&written))).map_err(StoreError::of_what_may_have_happened)
    }

    /// Removes the old value, over which this version was written.
    async fn finish(&self, key: &StoreKey, frozen: &Version, written: &Version) -> Result<(), StoreError> {
        let mut frozen = frozen.clone();
        for _ in 0..TRIES {
            if let Removed::Done = self.old.remove(key, &frozen).await? {
                return Ok(());
            }
            let old = self.find_old(key).await?;
            match (self.find_new(key).await?, old) {
                (Found::Mark(_, version) | Found::Value(Stored { version, .. }), old) if version == *written => {
                    match old {
                        None => return Ok(()),
                        Some(old) => frozen = old.version,
                    }
                }
                // It ran out, or somebody finished it and wrote over it: who looks will know.
                _ => break,
            }
        }
        Err(restless())
    }

    /// Removes what the old store has in this version, which is frozen: who is about to move it must not.
    pub(super) async fn remove_frozen(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        Ok(match self.put_over(key, version, Put::Gone).await? {
            Written::Absent => Removed::Absent,
            Written::Conflict(found) => Removed::Conflict(found),
            Written::Done(gone) => {
                if let Some((_, gone)) = Place::untag(&gone) {
                    // It says nothing any more, and expires.
                    let _ = self.new.remove(key, &gone).await;
                }
                Removed::Done
            }
        })
    }

    /// Moves what the old store has, as it is. Returns false where it has nothing.
    pub(super) async fn put_as_read(&self, key: &StoreKey) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let Some(old) = self.find_old(key).await? else { return Ok(false) };
            if let Written::Done(_) = self.put_over(key, &old.version, Put::AsRead(None)).await? {
                return Ok(true);
            }
        }
        Err(restless())
    }

    /// Answers a write that did not happen because the key holds something else.
    pub(super) async fn changed(&self, key: &StoreKey) -> Result<Written, StoreError> {
        Ok(self.look(key).await?.map_or(Written::Absent, |found| Written::Conflict(Some(found))))
    }

    /// Returns the version of a claim; `None` where the new store has something else.
    async fn claim(&self, key: &StoreKey, ttl: Duration) -> Result<Option<Version>, StoreError> {
        let created = self.new.create(key, &Mark::Claim.make()?, ttl).await;
        match created.map_err(StoreError::of_what_did_not_happen)? {
            Created::Done(version) => Ok(Some(version)),
            Created::Exists => Ok(match self.find_new(key).await? {
                Found::Mark(Mark::Claim, version) => Some(version),
                Found::Mark(Mark::Gone, _) | Found::Nothing | Found::Value(_) => None,
            }),
        }
    }

    async fn find_old(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.old.load(key).await.map_err(StoreError::of_what_did_not_happen)
    }

    async fn find_new(&self, key: &StoreKey) -> Result<Found, StoreError> {
        let found = self.new.load(key).await.map_err(StoreError::of_what_did_not_happen)?;
        Ok(found.map_or(Found::Nothing, |stored| match Mark::of(&stored.value) {
            Some(mark) => Found::Mark(mark, stored.version),
            None => Found::Value(stored),
        }))
    }
}

/// What a conflict in the new store brought, once the old store has nothing.
pub(super) fn read_new(found: Stored) -> Option<Stored> {
    Mark::of(&found.value).is_none().then(|| tagged(Place::New, found))
}

fn read_old(stored: Stored) -> Stored {
    match frozen(&stored.value) {
        Some(value) => tagged(Place::Frozen, Stored { value, ..stored }),
        None => tagged(Place::Old, stored),
    }
}

fn tagged(place: Place, stored: Stored) -> Stored {
    Stored { version: place.tag(&stored.version), ..stored }
}

fn restless() -> StoreError {
    StoreError::failed(Fault::Internal).with_source("the key kept changing between the two stores")
}
