//! The three policies of the wire: cookie value and session id, session id and store key, entry and stored bytes.

pub(crate) mod codec;
pub(crate) mod key_scheme;
pub(crate) mod sealed;
pub(crate) mod sealer;
pub(crate) mod text;
pub(crate) mod token;
mod usual;
