//! The operating system's randomness.

use cloakroom_core::{Entropy, EntropyError};

/// What is drawn at a time: the nonce and the id of a commit, and a little more.
const DRAW: usize = 32;

/// Draws from the operating system's generator, once for all that a commit takes: each draw is a system call. No byte is
/// handed out twice, so that it must not be cloned.
pub(crate) struct OsEntropy {
    drawn: [u8; DRAW],
    /// So many of the first were not handed out yet.
    left: usize,
}

impl OsEntropy {
    pub(crate) const fn new() -> Self {
        Self { drawn: [0; DRAW], left: 0 }
    }

    fn fill_from<E>(&mut self, bytes: &mut [u8], draw: impl Fn(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        if bytes.len() > DRAW {
            return draw(bytes);
        }
        if bytes.len() > self.left {
            self.left = 0;
            draw(&mut self.drawn)?;
            self.left = DRAW;
        }
        let start = self.left - bytes.len();
        bytes.copy_from_slice(&self.drawn[start..self.left]);
        self.left = start;
        Ok(())
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.fill_from(bytes, getrandom::fill).map_err(|_| EntropyError)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{cell::Cell, collections::HashSet};

    use super::{DRAW, OsEntropy};

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
        let mut entropy = OsEntropy::new();
        let mut seen = HashSet::new();
        for (len, drawn) in [(8, 1), (16, 1), (0, 1), (8, 1), (1, 2), (DRAW, 3), (DRAW + 1, 4), (8, 5), (24, 5)] {
            let mut bytes = vec![0; len];
            entropy.fill_from(&mut bytes, draw).unwrap();
            assert_eq!(draws.get(), drawn, "{len}");
            assert!(bytes.into_iter().all(|byte| byte != 0 && seen.insert(byte)), "{len}");
        }
    }

    #[test]
    fn a_draw_that_fails_leaves_nothing_to_hand_out() {
        let mut entropy = OsEntropy::new();
        let mut bytes = [0; 8];
        let draws = |drawn: &mut [u8]| {
            drawn.fill(1);
            Ok::<(), ()>(())
        };
        assert_eq!(entropy.fill_from(&mut bytes, draws), Ok(()));
        // What it wrote before it failed is no randomness.
        let fails = |drawn: &mut [u8]| {
            drawn.fill(2);
            Err(())
        };
        let mut more = [0; DRAW - 7];
        assert_eq!(entropy.fill_from(&mut more, fails), Err(()));
        assert_eq!(entropy.fill_from(&mut bytes, fails), Err(()));
        assert_eq!(bytes, [1; 8]);
    }
}
