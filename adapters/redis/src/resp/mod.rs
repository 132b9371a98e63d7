//! Redis' protocol, RESP2, as bytes: no input and output of its own.
//!
//! Of answers and errors the types are those of the [`redis`] crate, which users hand over, too.

mod commands;
mod decoder;

/// Adds commands to others: those of a request to what is to be sent. What is sent again is written again.
pub(crate) type Ask<'a> = dyn Fn(&mut Commands) + Sync + 'a;

pub(crate) use self::{
    commands::{Arg, Commands},
    decoder::Decoder,
};
