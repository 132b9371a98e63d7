//! The operating system's randomness.

use std::{cell::RefCell, time::Duration};

use cloakroom_core::{Entropy, EntropyError};

/// Draws from the operating system's generator.
pub(crate) struct OsEntropy {
    drawn: Drawn<{ Self::OF_A_COMMIT }>,
    /// Nanoseconds since the Unix epoch.
    at: u64,
}

impl OsEntropy {
    /// What is drawn at a time: the nonce and the id of a new session, and a little more.
    const OF_A_COMMIT: usize = 32;

    /// Begins to draw at so long after the Unix epoch.
    pub(crate) fn at(since_epoch: Duration) -> Self {
        // Beyond the year 2554 it begins again, which is as good: nothing but that it goes on counts.
        Self { drawn: Drawn::new(), at: since_epoch.as_nanos() as u64 }
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.drawn.take(bytes, getrandom::fill).map_err(|_| EntropyError)
    }

    fn fill_nonce(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        NONCES.with_borrow_mut(|nonces| nonces.take(bytes, getrandom::fill)).map_err(|_| EntropyError)?;
        // A process that forks, and a machine that is copied while it runs, have in both what was drawn before.
        bytes.iter_mut().zip(self.at.to_le_bytes()).for_each(|(byte, at)| *byte ^= at);
        Ok(())
    }
}

/// As much as the system gives in one piece.
const NONCES_DRAWN: usize = 256;

thread_local! {
    static NONCES: RefCell<Drawn<NONCES_DRAWN>> = const { RefCell::new(Drawn::new()) };
}

/// What was drawn at once, for each draw is a system call. No byte is handed out twice, so that it must not be cloned.
struct Drawn<const N: usize> {
    bytes: [u8; N],
    /// So many of the first were not handed out yet.
    left: usize,
}

impl<const N: usize> Drawn<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], left: 0 }
    }

    fn take<E>(&mut self, bytes: &mut [u8], draw: impl Fn(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        if bytes.len() > N {
            return draw(bytes);
        }
        if bytes.len() > self.left {
            self.left = 0;
            draw(&mut self.bytes)?;
            self.left = N;
        }
        let start = self.left - bytes.len();
        bytes.copy_from_slice(&self.bytes[start..self.left]);
        self.left = start;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{cell::Cell, collections::HashSet, time::Duration};

    use cloakroom_core::Entropy;

    use super::{Drawn, NONCES, NONCES_DRAWN, OsEntropy};

    const DRAW: usize = OsEntropy::OF_A_COMMIT;

    #[test]
    fn one_draw_serves_several_and_no_byte_is_handed_out_twice() {
        let draws = Cell::new(0);
        let next = Cell::new(0_u8);
        let draw = |bytes: &mut [u8]| {
            draws.set(draws.get() + 1);
            for byte in bytes {
                next.set(next.get() + 1);
                *byte = next.get();
            }
            Ok::<(), ()>(())
        };
        let mut drawn = Drawn::<DRAW>::new();
        let mut seen = HashSet::new();
        for (len, count) in [(8, 1), (16, 1), (0, 1), (8, 1), (1, 2), (DRAW, 3), (DRAW + 1, 4), (8, 5), (24, 5)] {
            let mut bytes = vec![0; len];
            drawn.take(&mut bytes, draw).unwrap();
            assert_eq!(draws.get(), count, "{len}");
            assert!(bytes.into_iter().all(|byte| byte != 0 && seen.insert(byte)), "{len}");
        }
    }

    #[test]
    fn a_draw_that_fails_leaves_nothing_to_hand_out() {
        let mut drawn = Drawn::<DRAW>::new();
        let mut bytes = [0; 8];
        let draws = |drawn: &mut [u8]| {
            drawn.fill(1);
            Ok::<(), ()>(())
        };
        assert_eq!(drawn.take(&mut bytes, draws), Ok(()));
        // What it wrote before it failed is no randomness.
        let fails = |drawn: &mut [u8]| {
            drawn.fill(2);
            Err(())
        };
        let mut more = [0; DRAW - 7];
        assert_eq!(drawn.take(&mut more, fails), Err(()));
        assert_eq!(drawn.take(&mut bytes, fails), Err(()));
        assert_eq!(bytes, [1; 8]);
    }

    #[test]
    fn nonces_of_one_time_differ() {
        let mut entropy = OsEntropy::at(Duration::from_secs(1));
        let mut seen = HashSet::new();
        for _ in 0..2 * NONCES_DRAWN / 8 {
            let mut nonce = [0; 8];
            entropy.fill_nonce(&mut nonce).unwrap();
            assert!(seen.insert(nonce));
        }
    }

    /// As in two processes of which one was forked from the other.
    #[test]
    fn nonces_of_the_same_bytes_differ_by_the_time() {
        let nonce_at = |nanos| {
            NONCES.with_borrow_mut(|nonces| (nonces.bytes, nonces.left) = ([7; NONCES_DRAWN], NONCES_DRAWN));
            let mut nonce = [0; 8];
            OsEntropy::at(Duration::from_nanos(nanos)).fill_nonce(&mut nonce).unwrap();
            nonce
        };
        assert_eq!(nonce_at(0), [7; 8]);
        assert_ne!(nonce_at(1_700_000_000_000_000_000), nonce_at(1_700_000_000_000_000_001));
    }

    #[test]
    fn ids_are_drawn_from_the_system_and_not_from_what_nonces_were() {
        NONCES.with_borrow_mut(|nonces| (nonces.bytes, nonces.left) = ([7; NONCES_DRAWN], NONCES_DRAWN));
        let mut id = [7; 16];
        OsEntropy::at(Duration::ZERO).fill(&mut id).unwrap();
        assert_ne!(id, [7; 16]);
        NONCES.with_borrow(|nonces| assert_eq!(nonces.left, NONCES_DRAWN));
    }
}
