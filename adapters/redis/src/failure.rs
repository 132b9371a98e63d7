//! What went wrong on the way, and what it says of the operation.

use std::{io, sync::Arc};

use cloakroom_core::StoreKey;
use cloakroom_store::{Fault, StoreError};
use redis::{RedisError, ServerError};

/// Why a request has no answer that counts.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// Whether the connection was lost under way.
    pub(crate) is_broken: bool,
    /// Whether the server may have done, or may yet do, what the request asks.
    pub(crate) is_sent: bool,
    /// Whether the server does not know the script that was called.
    pub(crate) is_unknown_script: bool,
    /// Whether the words are the server's.
    is_of_server: bool,
    words: Arc<str>,
}

impl Failure {
    /// The request never left, or was refused.
    pub(crate) fn unsent(fault: Fault, words: &str) -> Self {
        Self {
            fault,
            is_broken: false,
            is_sent: false,
            is_unknown_script: false,
            is_of_server: false,
            words: words.into(),
        }
    }

    /// The request may have arrived.
    pub(crate) fn sent(fault: Fault, words: &str) -> Self {
        Self { is_sent: true, ..Self::unsent(fault, words) }
    }

    /// The connection ended while it owed the answer.
    pub(crate) fn broken(fault: Fault, words: &str) -> Self {
        Self { is_broken: true, ..Self::sent(fault, words) }
    }

    /// The same, where it was closed on this side.
    pub(crate) fn closed() -> Self {
        Self::broken(Fault::Unavailable, "the connection was closed")
    }

    /// The same, in the words of the operating system or of the TLS library, which know nothing of what is sent.
    pub(crate) fn lost(error: &io::Error) -> Self {
        Self::broken(Fault::Unavailable, &error.to_string())
    }

    /// What came is no answer, or none to anything that was asked.
    pub(crate) fn garbled() -> Self {
        Self::broken(Fault::Unavailable, "the server broke the protocol")
    }

    /// The server refused a login; or it takes nobody, for now.
    pub(crate) fn of_login(error: &ServerError, words: &str) -> Self {
        match Self::refusal(error) {
            refusal if refusal.fault == Fault::Unavailable && !refusal.is_sent => refusal,
            _ => Self::unsent(Fault::Refused, words),
        }
    }

    /// The server answered with an error. What Redis itself says then, proves that it did nothing; other words may be those
    /// of a proxy that lost the server while it was at it.
    pub(crate) fn refusal(error: &ServerError) -> Self {
        let (code, details) = (code_of(error), error.details().unwrap_or_default());
        let (fault, is_sent) = match fault_of(code) {
            Some(fault) => (fault, false),
            None if details.starts_with("max number of clients") => (Fault::Unavailable, false),
            None => match REFUSALS.iter().any(|words| details.starts_with(words)) {
                true => (Fault::Refused, false),
                false => (Fault::Unavailable, true),
            },
        };
        let is_unknown_script = code == "NOSCRIPT";
        let words = format!("{} {details}", error.code());
        Self { is_sent, is_unknown_script, is_of_server: true, ..Self::unsent(fault, &words) }
    }

    /// A connection of the application's broke while it owed the answer, unless the error is one of the server's.
    pub(crate) fn of(error: &RedisError) -> Self {
        let told = error.clone().into_server_errors();
        match told.as_deref() {
            Some([(_, error), ..]) => Self::refusal(error),
            _ if error.is_io_error() => Self::broken(Fault::Unavailable, &error.to_string()),
            _ => Self::garbled(),
        }
    }

    /// Takes nothing for proof: whoever answered may have tried before.
    pub(crate) fn in_doubt(self) -> Self {
        Self { is_sent: self.is_sent || !self.is_unknown_script, ..self }
    }

    /// The connection ended before it was sent.
    pub(crate) fn before_it_was_sent(self) -> Self {
        Self { is_sent: false, ..self }
    }

    /// Takes it for why the request that was to follow was not sent.
    pub(crate) fn of_another(self) -> Self {
        Self { is_broken: false, is_sent: false, ..self }
    }

    /// Says what it means for an operation that writes, or that only reads.
    pub(crate) fn into_error(self, writes: bool, keys: &[&StoreKey]) -> StoreError {
        let error = match self.is_sent && writes {
            false => StoreError::failed(self.fault),
            true => StoreError::unknown(self.fault),
        };
        match self.is_of_server {
            true => error.with_server_words(&self.words, keys),
            false => error.with_source(&*self.words),
        }
    }
}

/// Returns the code of an error reply. Servers before version 7 wrap those that a script runs into.
pub(crate) fn code_of(error: &ServerError) -> &str {
    let code = error.code();
    if code != "ERR" && !code.starts_with("@user_script") {
        return code;
    }
    let wrapped = ["MISCONF", "NOREPLICAS", "OOM", "READONLY", "WRONGTYPE"];
    let details = error.details().unwrap_or_default();
    let is_there = |code: &&str| details.split([' ', '-']).any(|word| word == *code);
    wrapped.into_iter().find(is_there).unwrap_or(code)
}

/// What Redis says, without a code of its own, of commands that it does not do.
const REFUSALS: [&str; 7] = [
    "This instance has cluster support disabled",
    "The user executing the script",
    "invalid expire",
    "syntax error",
    "unknown command",
    "unknown subcommand",
    "wrong number of arguments",
];

/// Sorts the codes of error replies that are Redis' own.
fn fault_of(code: &str) -> Option<Fault> {
    Some(match code {
        "OOM" => Fault::Full,
        // It will do again: it starts, hands over to another, or is asked for too much.
        "ASK" | "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MOVED" | "NOREPLICAS" | "READONLY"
        | "TRYAGAIN" => Fault::Unavailable,
        // It waits for somebody to change something.
        "CROSSSLOT" | "DENIED" | "MISCONF" | "NOAUTH" | "NOPERM" | "NOSCRIPT" | "WRONGPASS" | "WRONGTYPE" => {
            Fault::Refused
        }
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use std::error::Error as _;

    use cloakroom_core::StoreKey;
    use cloakroom_store::Fault;
    use redis::Value;

    use super::Failure;

    /// Reads an error reply as a connection does.
    fn refusal(line: &str) -> Failure {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => Failure::refusal(&error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_redis_says_itself_proves_that_nothing_happened() {
        for (line, fault) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Fault::Full),
            ("READONLY You can't write against a read only replica.", Fault::Unavailable),
            ("LOADING Redis is loading the dataset in memory", Fault::Unavailable),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Fault::Refused),
            ("NOPERM this user has no permissions to run the 'evalsha' command", Fault::Refused),
            ("ERR unknown command 'EVALSHA', with args beginning with: 'a'", Fault::Refused),
            ("ERR max number of clients reached", Fault::Unavailable),
            // As servers before version 7 wrap it.
            ("ERR Error running script (call to f_1): @user_script: 5: -READONLY You can't write", Fault::Unavailable),
        ] {
            let failure = refusal(line);
            assert_eq!((failure.fault, failure.is_sent), (fault, false), "{line}");
        }
        for line in
            ["ERR Connection timed out", "upstream failure", "ERR server connection closed", "UNBLOCKED force unblock"]
        {
            let failure = refusal(line);
            assert_eq!((failure.fault, failure.is_sent), (Fault::Unavailable, true), "{line}");
        }
    }

    #[test]
    fn a_client_that_tries_again_proves_nothing_but_for_an_unknown_script() {
        assert!(refusal("CLUSTERDOWN The cluster is down").in_doubt().is_sent);
        assert!(!refusal("NOSCRIPT No matching script.").in_doubt().is_sent);
    }

    #[test]
    fn an_error_names_no_key() {
        let key = StoreKey::new("app.Production.1").unwrap();
        let words = |line: &str| refusal(line).into_error(true, &[&key]).source().unwrap().to_string();
        assert_eq!(words("ERR no such key: app.Production.1"), "ERR no such key: ..");
        assert_eq!(words("cloakroom:0123456789abcdefABCDEF is none"), ".. is none");
        // What the store itself says stays as it is.
        let own = "no connection to redis-0A1B2C3D4E5F6G7H8J9K.example.com was made in time";
        assert_eq!(Failure::sent(Fault::TimedOut, own).into_error(true, &[&key]).source().unwrap().to_string(), own);
    }
}
