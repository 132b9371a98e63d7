//! Live traffic from one store to another.

mod directory;
mod frame;
mod steps;
mod version;

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value, Version};

use self::{
    frame::refuse_marked,
    steps::{Put, read_new},
    version::Place,
};
use crate::{
    directory::DynDirectory,
    error::StoreError,
    store::{Created, Removed, Store, Written},
};

/// Two stores that are one while sessions move from the old to the new, under live traffic.
///
/// Logout stays final and no update is lost, whatever fails or stops on the way: the protocol stands in `moving/steps.rs`,
/// and `cloakroom-search moving_interleavings` searches the interleavings of its steps with the real machine above them. What
/// a store promises holds as far as it does for **both**: the stronger of their warnings counts, and an operation fails
/// where either store fails.
///
/// # How to move
///
/// 1. Deploy [`MovingStore::prepare`] on every node. It reads both stores, and writes as before: new sessions and what the
///    old store has stay there. Nodes that know the old store alone can go on beside it.
/// 2. When every node has it, deploy [`MovingStore::moving`]. New sessions begin in the new store; others go there when they
///    are next written or touched. Nodes that still prepare find them. Without the first phase, nodes that know the old store
///    alone would find nothing of what has moved: people would be signed out, and would meet frames in place of records.
/// 3. Have the rest moved: `cloakroom migrate --from OLD --to NEW`, or [`MovingStore::move_key`] for each key in the process
///    that has the old store open, as that of a file must. Or wait: what nobody uses expires.
/// 4. When the old store is empty, its indexes too, wait for a minute, and deploy the new store alone.
///
/// A node of step 1 must never meet one of step 4, nor one that knows the old store alone one of step 2. From step 2 the way
/// back is a move in the other direction, which begins when no node of this one runs any more: the two directions do not
/// understand each other. A server of one process can begin at step 2.
///
/// # What it costs
///
/// A load asks both stores, the old one first. The first write to a session that the old store has takes five operations,
/// each later one goes to the new store alone; making a session takes a load more. The deadline of an operation
/// ([`SessionsBuilder::deadline`](crate::SessionsBuilder::deadline)) is for all of its steps together.
///
/// # Limits
///
/// * The two must be two: the same store as old and new would lose sessions. `cloakroom migrate` makes sure.
/// * The old store needs room for 34 bytes more in each value while that moves. One that is full to the last byte, or a value
///   that is as large as the store takes, does not move, and its session cannot be ended: give it room first.
/// * A value that begins with the 17 bytes `\x02cloakroom moves:` is refused. No session does; a `MovingStore` that is one of
///   the stores of another would, so that one move must be over before the next begins.
/// * A key of one's own that is created at the same moment by a node that prepares and one that moves may be created
///   twice. Keys of sessions are drawn at random, and never are.
/// * A write that is cut off may leave the value as it was in another version: who comes next meets a conflict, and tries
///   again.
/// * A write that moves a key while others write to it at the same moment may be told as in doubt though it happened: another
///   has finished it and written on. The engine looks, as after any doubt; nobody who uses a session sees it.
/// * While some nodes prepare and others move, an idle timeout that one has put off while the other moves the session may
///   count from before.
/// * The new store keeps marks of the move for up to a minute. They are no sessions here, and would be unreadable ones to
///   nodes that know the new store alone: hence the minute in step 4.
///
/// # Indexes
///
/// It keeps indexes if that store does in which new sessions are made. A listing is the union of both, the old read first; a
/// member is taken out of both; one that is put in goes to the old store while preparing, from then on to the new one. Members
/// stay in the old store until their time is over or `cloakroom migrate` moves them: a listing does not say for how long
/// a member is to stay, so none is copied in passing. `total` counts twice what both have beyond what was listed.
///
/// If the new store alone keeps indexes, a listing, and an end of all of a user's sessions, does not know those from before
/// the move. If the old one alone does, there is no index from step 2 on.
///
/// # No cache in front of a store
///
/// Two stores could also be joined as a slow one and a fast cache that answers reads. There is no such store here, because
/// logout would not be final: a node that has a record in its cache opens it after another node has ended it, for as long
/// as the entry lives, and a message that empties the other caches can be late or lost. A cache that asks the store whether
/// its copy is current saves no round trip. Within a request the handle loads once, and a request that does not touch its
/// session asks nobody; where reads are too slow, change the store.
///
/// # Example
///
/// ```
/// # use std::time::Duration;
/// use cloakroom_store::{MemoryStore, MovingStore, Store as _};
/// # use cloakroom_core::{StoreKey, Value};
/// # use cloakroom_tokio::Tokio;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (key, value, hour) = (StoreKey::new("key")?, Value::from(&b"{}"[..]), Duration::from_secs(3600));
/// let (old, new) = (MemoryStore::new(Tokio), MemoryStore::new(Tokio));
/// old.create(&key, &value, hour).await?;
///
/// let both = MovingStore::moving(old.clone(), new.clone());
/// assert_eq!(both.load(&key).await?.unwrap().value, value);
/// assert!(both.move_key(&key).await?);
/// assert_eq!((old.load(&key).await?, new.load(&key).await?.unwrap().value), (None, value));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MovingStore<Old, New> {
    old: Old,
    new: New,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Preparing,
    Moving,
}

impl<Old: Store, New: Store> MovingStore<Old, New> {
    /// Reads both, and writes where it was read; what is made is made in the old store. For every node, before any
    /// [moves](MovingStore::moving).
    pub fn prepare(old: Old, new: New) -> Self {
        Self { old, new, phase: Phase::Preparing }
    }

    /// Reads both, and writes to the new store. No node may know one of the stores alone.
    pub fn moving(old: Old, new: New) -> Self {
        Self { old, new, phase: Phase::Moving }
    }

    /// Moves what the old store has under a key, if it has something; returns whether it did. No node may know the old
    /// store alone.
    ///
    /// Nothing that anybody sees of the session changes, and others may read, write and end it meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of either store. Wherever it stopped, it can be done again.
    pub async fn move_key(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.put_as_read(key).await
    }

    fn is_preparing(&self) -> bool {
        self.phase == Phase::Preparing
    }
}

impl<Old: Store, New: Store> Store for MovingStore<Old, New> {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.look(key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        refuse_marked(value)?;
        self.put_first(key, value, ttl).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        refuse_marked(value)?;
        match Place::untag(version) {
            None => self.changed(key).await,
            Some((Place::New, version)) => {
                let written = self.new.replace(key, &version, value, ttl).await?;
                self.written_new(key, written).await
            }
            Some((Place::Old, version)) if self.is_preparing() => {
                let written = self.old.replace(key, &version, value, ttl).await?;
                self.written_old(key, written).await
            }
            Some((Place::Frozen | Place::Old, version)) => self.put_over(key, &version, Put::Given(value, ttl)).await,
        }
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        match Place::untag(version) {
            None => self.changed(key).await,
            Some((Place::New, version)) => {
                let written = self.new.touch(key, &version, value, ttl).await?;
                self.written_new(key, written).await
            }
            Some((Place::Old, version)) if self.is_preparing() => {
                let written = self.old.touch(key, &version, value, ttl).await?;
                self.written_old(key, written).await
            }
            Some((Place::Frozen | Place::Old, version)) => self.put_over(key, &version, Put::AsRead(Some(ttl))).await,
        }
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        let changed = match Place::untag(version) {
            None => self.changed(key).await?,
            Some((Place::New, version)) => match self.new.remove(key, &version).await? {
                Removed::Done => return Ok(Removed::Done),
                Removed::Absent => self.written_new(key, Written::Absent).await?,
                Removed::Conflict(found) => self.written_new(key, Written::Conflict(found)).await?,
            },
            Some((Place::Frozen, version)) => return self.remove_frozen(key, &version).await,
            // Nobody is about to move what is not frozen.
            Some((Place::Old, version)) => match self.old.remove(key, &version).await? {
                Removed::Done => return Ok(Removed::Done),
                Removed::Absent | Removed::Conflict(_) => self.changed(key).await?,
            },
        };
        Ok(match changed {
            Written::Conflict(found) => Removed::Conflict(found),
            Written::Absent | Written::Done(_) => Removed::Absent,
        })
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        let written = match self.phase {
            Phase::Preparing => self.old.directory(),
            Phase::Moving => self.new.directory(),
        };
        written.map(|_| self as &dyn DynDirectory)
    }
}

impl<Old: Store, New: Store> MovingStore<Old, New> {
    /// Answers a write to the old store, of which what it did not find may have moved.
    async fn written_old(&self, key: &StoreKey, written: Written) -> Result<Written, StoreError> {
        match written {
            Written::Done(version) => Ok(Written::Done(Place::Old.tag(&version))),
            Written::Absent | Written::Conflict(_) => self.changed(key).await,
        }
    }

    /// Answers a write to the new store. What it did not find may be in the old one again: a node that prepares may have made
    /// the key anew.
    async fn written_new(&self, key: &StoreKey, written: Written) -> Result<Written, StoreError> {
        match written {
            Written::Absent => self.changed(key).await,
            Written::Conflict(Some(found)) => match read_new(found) {
                None => self.changed(key).await,
                found => Ok(Written::Conflict(found)),
            },
            Written::Conflict(None) => Ok(Written::Conflict(None)),
            Written::Done(version) => Ok(Written::Done(Place::New.tag(&version))),
        }
    }
}
