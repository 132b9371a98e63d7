//! Walks over the keys of the servers: `SCAN`, page by page, on one master after the other.

use std::{fmt, pin::pin, sync::Arc};

use cloakroom_core::StoreKey;
use cloakroom_store::{Fault, StoreError};
use redis::Value as Answer;

use crate::{
    connection::Connection,
    failure::Failure,
    pool::Progress,
    resp::Commands,
    store::{INDEX_SUFFIX, RedisStore},
};

/// About how many of its keys a server looks at for one page, whether they are wanted or not.
const COUNT: u64 = 1000;
/// Where a server begins, and what it says at its end.
const START: &[u8] = b"0";

/// A walk over the keys of a [`RedisStore`]: of its entries, or of its indexes. It writes nothing.
///
/// A key that is there from the first page to the last comes at least once: a server that makes its table larger or smaller
/// meanwhile may bring it twice, and a slot that moves between masters may bring its keys twice or never. Each master is
/// walked over by one connection: where it is lost the walk has ended, because a server that was started again, or another,
/// does not know where it was.
pub struct RedisWalk {
    store: RedisStore,
    kind: &'static str,
    pattern: Vec<u8>,
    /// What a key ends with on the server, behind the store's key.
    suffix: &'static [u8],
    state: State,
}

enum State {
    Before,
    /// The masters that are left, the one under way last, and where it is.
    At(Vec<Arc<Connection>>, Vec<u8>),
    Lost,
}

impl RedisWalk {
    pub(crate) fn entries(store: RedisStore, prefix: &str) -> Self {
        Self::new(store, prefix, "string", b"")
    }

    pub(crate) fn indexes(store: RedisStore, prefix: &str) -> Self {
        Self::new(store, prefix, "zset", INDEX_SUFFIX)
    }

    fn new(store: RedisStore, prefix: &str, kind: &'static str, suffix: &'static [u8]) -> Self {
        let mut pattern = escaped(store.key_prefix());
        pattern.extend(escaped(prefix));
        pattern.push(b'*');
        pattern.extend(suffix);
        Self { store, kind, pattern, suffix, state: State::Before }
    }

    /// Brings the next keys, in any order; `None` at the end. A page may be empty.
    ///
    /// # Errors
    ///
    /// As a load. One that was not answered can be tried again while the connection is there.
    pub async fn next_page(&mut self) -> Result<Option<Vec<StoreKey>>, StoreError> {
        let store = self.store.clone();
        store.in_time(pin!(self.page()), &Progress::default()).await.map_err(|failure| failure.into_error(false, &[]))
    }

    async fn page(&mut self) -> Result<Option<Vec<StoreKey>>, Failure> {
        if let State::Before = self.state {
            self.state = State::At(self.store.connections().await?, START.to_vec());
        }
        let State::At(masters, cursor) = &mut self.state else {
            return Err(Failure::unsent(Fault::Unavailable, "the connection was lost in the middle of the walk"));
        };
        let Some(master) = masters.last() else { return Ok(None) };
        let answers = master.exec(&|commands| scan(commands, cursor, &self.pattern, self.kind)).await;
        let failure = match answers.as_deref() {
            Ok([Answer::Array(parts)]) => {
                if let [Answer::BulkString(next), Answer::Array(found)] = parts.as_slice() {
                    cursor.clone_from(next);
                    if cursor == START {
                        masters.pop();
                    }
                    return Ok(Some(found.iter().filter_map(|key| self.read(key)).collect()));
                }
                strange()
            }
            Ok([Answer::ServerError(error)]) => Failure::refusal(error),
            Ok(_) => strange(),
            Err(failure) => failure.clone(),
        };
        if failure.is_broken {
            self.state = State::Lost;
        }
        Err(failure)
    }

    /// Reads a key of the server. What is no store key is somebody else's.
    fn read(&self, key: &Answer) -> Option<StoreKey> {
        let Answer::BulkString(bytes) = key else { return None };
        let key = bytes.strip_prefix(self.store.key_prefix().as_bytes())?.strip_suffix(self.suffix)?;
        StoreKey::new(str::from_utf8(key).ok()?).ok()
    }
}

impl fmt::Debug for RedisWalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisWalk").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn scan(commands: &mut Commands, cursor: &[u8], pattern: &[u8], kind: &str) {
    let page = ["MATCH".into(), pattern.into(), "COUNT".into(), COUNT.into(), "TYPE".into(), kind.into()];
    commands.push(["SCAN".into(), cursor.into()].into_iter().chain(page));
}

/// Takes the meaning of a pattern from a text.
fn escaped(text: &str) -> Vec<u8> {
    let escape = |byte: u8| {
        let special = matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\');
        special.then_some(b'\\').into_iter().chain([byte])
    };
    text.bytes().flat_map(escape).collect()
}

fn strange() -> Failure {
    Failure::sent(Fault::Internal, "the server gave an answer that the command does not have")
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_prefix_has_no_wildcards() {
        assert_eq!(escaped("cloakroom:"), b"cloakroom:");
        assert_eq!(escaped(r"a*b?[c]^\"), br"a\*b\?\[c\]^\\");
    }
}
