//! The sessions that a store is filled with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{StoreKey, Value};
use cloakroom_store::{Created, DynStore};
use tokio::task::JoinSet;

/// The bytes of a value: a record with a user and a few keys.
pub(crate) const PAYLOAD: u64 = 300;
/// The characters of a key behind its prefix.
const KEY: usize = 22;
pub(crate) const TASKS: u64 = 64;
pub(crate) const TTL: Duration = Duration::from_secs(8 * 60 * 60);

/// Creates the sessions of these numbers, by many tasks.
pub(crate) async fn fill(store: &Arc<dyn DynStore>, numbers: std::ops::Range<u64>, ttl: Duration) {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (store, next) = (Arc::clone(store), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    break;
                }
                let created = store.create(&key(number), &value(number, 0), ttl).await.expect("there is room");
                assert!(matches!(created, Created::Done(_)), "nothing is there before");
            }
        });
    }
    tasks.join_all().await;
}

/// Spread like hashes, and as long as those that the engine makes: the default prefix and 22 characters.
pub(crate) fn key(number: u64) -> StoreKey {
    let spread = u128::from(number).wrapping_mul(0x2d99_787f_7d9a_1a5b_9e37_79b9_7f4a_7c15);
    let text = format!("{spread:0KEY$x}");
    StoreKey::new(&format!("cloakroom:{}", &text[text.len() - KEY..])).expect("short and visible")
}

/// A record with a user and a few keys, in a buffer that is as large as it.
pub(crate) fn value(number: u64, edition: u64) -> Value {
    let mut bytes = Vec::with_capacity(PAYLOAD as usize);
    bytes.extend(format!("{{\"user\":{number},\"edition\":{edition},\"rest\":\"").into_bytes());
    bytes.resize(PAYLOAD as usize - 2, b'x');
    bytes.extend(b"\"}");
    Value::from(bytes)
}

/// Numbers without order, the same in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Returns a number below a bound. (xorshift64*)
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}
