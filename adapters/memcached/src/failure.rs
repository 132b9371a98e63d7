//! What went wrong on the way, and what it says of the operation.

use std::sync::Arc;

use cloakroom_core::StoreKey;
use cloakroom_store::{Fault, StoreError};

use crate::wire::WireError;

/// Why a request has no answer that counts.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// Whether the connection was lost under way.
    pub(crate) is_broken: bool,
    /// Whether the server may have done, or may yet do, what the request asks.
    pub(crate) is_sent: bool,
    /// Whether whoever is there is out of step with us, so that no further answer can be trusted.
    pub(crate) is_out_of_step: bool,
    /// Whether the words are the server's.
    pub(crate) is_of_server: bool,
    pub(crate) words: Arc<str>,
}

impl Failure {
    /// The request never left, or was refused.
    pub(crate) fn unsent(fault: Fault, words: &str) -> Self {
        Self {
            fault,
            is_broken: false,
            is_sent: false,
            is_out_of_step: false,
            is_of_server: false,
            words: words.into(),
        }
    }

    /// The request may have arrived.
    pub(crate) fn sent(fault: Fault, words: &str) -> Self {
        Self { is_sent: true, ..Self::unsent(fault, words) }
    }

    /// The connection ended while it owed the answer.
    pub(crate) fn broken(words: &str) -> Self {
        Self { is_broken: true, ..Self::sent(Fault::Unavailable, words) }
    }

    /// What came is no answer.
    pub(crate) fn garbled(error: WireError) -> Self {
        Self { is_out_of_step: true, ..Self::sent(Fault::Internal, &error.to_string()) }
    }

    /// An answer that no memcached gives to this question.
    pub(crate) fn unexpected() -> Self {
        let words = "the server gave an answer that the command does not have";
        Self { is_out_of_step: true, ..Self::sent(Fault::Internal, words) }
    }

    /// The server does not understand the question. What it makes of the bytes behind it, nobody can tell.
    pub(crate) fn refused(words: &str) -> Self {
        let words = format!("the server refuses: {words}");
        Self { is_out_of_step: true, is_of_server: true, ..Self::unsent(Fault::Refused, &words) }
    }

    /// The server cannot. What memcached itself says then, proves that it stored nothing; other words may be those of a
    /// proxy that lost the server while it was at it.
    pub(crate) fn server_error(words: &str) -> Self {
        let told = format!("the server says: {words}");
        let failure = match words {
            words if words.to_ascii_lowercase().starts_with("out of memory") => Self::unsent(Fault::Full, &told),
            "object too large for cache" => Self::unsent(Fault::Refused, &told),
            _ => Self::sent(Fault::Unavailable, &told),
        };
        Self { is_of_server: true, ..failure }
    }

    /// The value is larger than what the server takes.
    pub(crate) fn too_large(bytes: usize, limit: Option<usize>) -> Self {
        let limit = limit.map_or_else(String::new, |limit| {
            format!(", and the server takes items of {limit} with their keys (memcached -I)")
        });
        Self::unsent(Fault::Refused, &format!("the session has {bytes} bytes{limit}: object too large for cache"))
    }

    /// Takes it for why the request that was to follow was not sent.
    pub(crate) fn of_another(self) -> Self {
        Self { is_broken: false, is_sent: false, ..self }
    }

    /// Says what it means for an operation that writes, or that only reads.
    pub(crate) fn into_error(self, writes: bool, key: Option<&StoreKey>) -> StoreError {
        let error = match self.is_sent && writes {
            false => StoreError::failed(self.fault),
            true => StoreError::unknown(self.fault),
        };
        match self.is_of_server {
            true => error.with_server_words(&self.words, key.as_slice()),
            false => error.with_source(&*self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use cloakroom_core::StoreKey;
    use cloakroom_store::Fault;

    use super::Failure;

    #[test]
    fn only_what_memcached_says_itself_proves_that_nothing_happened() {
        for (words, fault, is_sent) in [
            ("out of memory storing object", Fault::Full, false),
            ("Out of memory allocating item", Fault::Full, false),
            ("object too large for cache", Fault::Refused, false),
            ("backend failure", Fault::Unavailable, true),
            ("timeout", Fault::Unavailable, true),
            ("", Fault::Unavailable, true),
        ] {
            let failure = Failure::server_error(words);
            assert_eq!((failure.fault, failure.is_sent), (fault, is_sent), "{words}");
        }
    }

    #[test]
    fn an_error_names_no_key() {
        let key = StoreKey::new("app.Production.1").unwrap();
        for fail in [Failure::server_error, Failure::refused] {
            let words = |said: &str| fail(said).into_error(true, Some(&key)).source().unwrap().to_string();
            for key in ["app.Production.1", "cloakroom:0123456789abcdefABCDEF"] {
                let said = words(&format!("{key} is none"));
                assert!(said.starts_with("the server ") && said.ends_with(": .. is none"), "{said}");
            }
        }
        // What the store itself says stays as it is.
        let own = "no connection to cache-0A1B2C3D4E5F6G7H8J9K.example.com was made in time";
        assert_eq!(Failure::broken(own).into_error(true, Some(&key)).source().unwrap().to_string(), own);
    }

    #[test]
    fn what_only_reads_is_never_in_doubt() {
        assert!(!Failure::broken("lost").into_error(false, None).may_have_happened());
        assert!(Failure::broken("lost").into_error(true, None).may_have_happened());
        assert!(!Failure::broken("lost").of_another().into_error(true, None).may_have_happened());
    }
}
