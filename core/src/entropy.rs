//! Randomness as the core sees it: an argument.

use core::{error::Error, fmt};

/// A source of cryptographically secure random bytes, passed to [`Session::commit`](crate::Session::commit).
///
/// It is drawn from only when a session id or a commit's nonce is made, and never stored. Use the operating system's
/// generator; ids are secrets, and a predictable source gives sessions away.
pub trait Entropy {
    /// Fills all of `bytes` with random bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the source has none to give. The commit then fails and nothing is sent to the store.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError>;

    /// Fills all of `bytes` with random bytes that are no secret, but must not come twice: the nonce of a commit that
    /// draws no id. A source may draw many of them at a time, if what it drew is not handed out again in a process that
    /// was forked, or on a machine that was copied, meanwhile. By default it is [`Entropy::fill`].
    ///
    /// # Errors
    ///
    /// As [`Entropy::fill`].
    fn fill_nonce(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.fill(bytes)
    }
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        (**self).fill(bytes)
    }

    fn fill_nonce(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        (**self).fill_nonce(bytes)
    }
}

/// The source of randomness had none to give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of randomness failed")
    }
}

impl Error for EntropyError {}
