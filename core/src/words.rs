//! Errors that are printed in words also by `Debug`, since that is what a `main` prints that returns one.

use core::fmt;

use crate::{
    cookie::{CookieError, InvalidCookieName},
    engine::ConfigError,
    forwarded::InvalidNetwork,
    keyring::KeyringError,
};

macro_rules! debug_in_words {
    ($($error:ty),+ $(,)?) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })+
    };
}

debug_in_words!(ConfigError, CookieError, InvalidCookieName, InvalidNetwork, KeyringError);
