//! What the move itself writes, told apart from sessions.
//!
//! Everything starts with [`MARK`], as no codec's bytes do: JSON starts with `{`, what is sealed with 1. A letter follows,
//! then 16 random bytes, so that its version never comes back, also where versions are the bytes. In the old store the
//! letter is `f`, and a value follows, which is frozen; in the new store it is `c`, a claim, or `g`, gone.

use cloakroom_core::Value;

use crate::error::{Fault, StoreError};

const MARK: &[u8] = b"\x02cloakroom moves:";
const NONCE_LEN: usize = 16;

/// What the new store has under a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mark {
    /// Somebody is about to move what the old store has. It says nothing by itself.
    Claim,
    /// What the old store has was removed.
    Gone,
}

impl Mark {
    const ALL: [Self; 2] = [Self::Claim, Self::Gone];

    fn letter(self) -> u8 {
        match self {
            Self::Claim => b'c',
            Self::Gone => b'g',
        }
    }

    /// Makes one that never was.
    pub(super) fn make(self) -> Result<Value, StoreError> {
        Ok(Value::from([MARK, &[self.letter()], &nonce()?].concat()))
    }

    /// Reads what the new store has; `None` where it is a value.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let (letter, rest) = value.as_bytes().strip_prefix(MARK)?.split_first()?;
        Self::ALL.into_iter().find(|mark| mark.letter() == *letter && rest.len() == NONCE_LEN)
    }
}

const FROZEN: u8 = b'f';

/// Freezes a value, as it never was before.
pub(super) fn freeze(value: &Value) -> Result<Value, StoreError> {
    Ok(Value::from([MARK, &[FROZEN], &nonce()?, value.as_bytes()].concat()))
}

/// Returns the value that is frozen, if it is.
pub(super) fn frozen(value: &Value) -> Option<Value> {
    let (_, value) = value.as_bytes().strip_prefix(MARK)?.strip_prefix(&[FROZEN])?.split_first_chunk::<NONCE_LEN>()?;
    Some(Value::from(value))
}

/// Refuses a value that would be taken for the move's own.
pub(super) fn refuse_marked(value: &Value) -> Result<(), StoreError> {
    match value.as_bytes().starts_with(MARK) {
        false => Ok(()),
        true => {
            Err(StoreError::failed(Fault::Refused).with_source("the value begins as what a move between stores writes"))
        }
    }
}

fn nonce() -> Result<[u8; NONCE_LEN], StoreError> {
    let mut nonce = [0; NONCE_LEN];
    let filled = getrandom::fill(&mut nonce);
    filled.map_err(|_| StoreError::failed(Fault::Internal).with_source("the system gave no randomness"))?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Value;

    use super::{Mark, freeze, frozen, refuse_marked};

    #[test]
    fn what_is_frozen_comes_back_and_is_never_twice_the_same() {
        for bytes in [&b""[..], b"{}", b"\x01sealed", b"\x02cloakroom moves:f"] {
            let value = Value::from(bytes);
            let (one, two) = (freeze(&value).unwrap(), freeze(&value).unwrap());
            assert_eq!((frozen(&one), frozen(&two)), (Some(value.clone()), Some(value)));
            assert_ne!(one, two);
            assert!(refuse_marked(&one).is_err() && Mark::of(&one).is_none());
        }
    }

    #[test]
    fn marks_are_told_apart_and_are_no_values() {
        for mark in Mark::ALL {
            let (one, two) = (mark.make().unwrap(), mark.make().unwrap());
            assert_eq!((Mark::of(&one), Mark::of(&two)), (Some(mark), Some(mark)));
            assert_ne!(one, two);
            assert!(refuse_marked(&one).is_err() && frozen(&one).is_none());
        }
    }

    #[test]
    fn what_codecs_write_is_neither() {
        for bytes in [&b""[..], b"{}", b"\x01sealed", b"\x02", b"\x02cloakroom moves"] {
            let value = Value::from(bytes);
            assert!(refuse_marked(&value).is_ok() && Mark::of(&value).is_none() && frozen(&value).is_none());
        }
    }
}
