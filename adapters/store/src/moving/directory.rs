//! The indexes of both stores.

use std::{collections::BTreeSet, time::Duration};

use cloakroom_core::{Members, StoreKey};

use super::{MovingStore, Phase};
use crate::{
    directory::{Directory, DynDirectory},
    error::{Fault, StoreError},
    store::Store,
};

impl<Old: Store, New: Store> Directory for MovingStore<Old, New> {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        let directory = match self.phase {
            Phase::Preparing => self.old.directory(),
            Phase::Moving => self.new.directory(),
        };
        directory.ok_or_else(no_index)?.enroll(index, member, ttl).await
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        for directory in self.directories() {
            directory.unenroll(index, member).await?;
        }
        Ok(())
    }

    /// The old store first: who is copied is put into the new one before they are taken out of the old.
    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let (mut keys, mut total) = (BTreeSet::new(), 0);
        for directory in self.directories() {
            let members = directory.list(index, limit).await?;
            total += members.total;
            for member in members.keys {
                if !keys.insert(member) {
                    total -= 1;
                }
            }
        }
        Ok(Members { keys: keys.into_iter().take(limit).collect(), total })
    }
}

impl<Old: Store, New: Store> MovingStore<Old, New> {
    /// Returns the indexes that there are, the old store's first.
    fn directories(&self) -> impl Iterator<Item = &dyn DynDirectory> {
        self.old.directory().into_iter().chain(self.new.directory())
    }
}

fn no_index() -> StoreError {
    StoreError::failed(Fault::Refused).with_source("the store keeps no index")
}
