//! memcached's meta protocol as bytes: no input and output of its own.
//!
//! A [`Command`] is written into a buffer; a [`Decoder`] takes what a server sends, in pieces of any size, and returns one
//! [`Answer`] after the other. What is no answer is a [`WireError`], and the decoder returns nothing behind it: where the
//! next answer begins, nobody can tell.
//!
//! ```
//! use cloakroom_memcached::wire::{Answer, Command, Decoder};
//!
//! let mut out = Vec::new();
//! Command::Get { key: b"k" }.encode(7, &mut out);
//! assert_eq!(out, b"mg k c t v O7\r\n");
//!
//! let mut decoder = Decoder::new(1024);
//! decoder.push(b"VA 5 c12 t60 O7\r\nhe");
//! assert_eq!(decoder.next_answer(), Ok(None), "there is more to come");
//! decoder.push(b"llo\r\n");
//! let Ok(Some(Answer::Found(value, flags))) = decoder.next_answer() else { panic!("no value") };
//! assert_eq!((value.as_bytes(), flags.cas, flags.ttl, flags.opaque), (&b"hello"[..], Some(12), Some(60), Some(7)));
//! ```

mod command;
mod decoder;

use std::{error::Error, fmt};

use cloakroom_core::Value;

pub use self::{
    command::Command,
    decoder::{Decoder, MAX_LINE},
};

/// One answer of a server.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// `EN`: nothing is under the key.
    Absent,
    /// `HD`: it is done.
    Done(Flags),
    /// `END`: no more statistics.
    End,
    /// `EX`: what is there has another CAS number.
    Exists(Flags),
    /// `VA`: what is there.
    Found(Value, Flags),
    /// `MN`: all before it is answered.
    Noop,
    /// `NF`: nothing is under the key.
    NotFound(Flags),
    /// `NS`: it was not stored, because of what is there or is not.
    NotStored(Flags),
    /// `CLIENT_ERROR` with the server's words, or `ERROR` without: it does not understand.
    Refused(String),
    /// `SERVER_ERROR` with the server's words: it cannot.
    ServerError(String),
    /// `STAT`: one statistic, by its name.
    Stat(String, String),
}

/// What an answer says beside itself.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// `c`: the CAS number. It is 0 where nothing was stored.
    pub cas: Option<u64>,
    /// `X` or `Z`: somebody told the server that the value is stale.
    pub is_stale: bool,
    /// `O`: the number that the question had.
    pub opaque: Option<u32>,
    /// `t`: the seconds that are left by the server's clock, or -1 for no end.
    pub ttl: Option<i64>,
}

impl Answer {
    /// Returns the flags of an answer that has some.
    pub fn flags(&self) -> Option<&Flags> {
        match self {
            Self::Done(flags)
            | Self::Exists(flags)
            | Self::Found(_, flags)
            | Self::NotFound(flags)
            | Self::NotStored(flags) => Some(flags),
            Self::Absent | Self::End | Self::Noop | Self::Refused(_) | Self::ServerError(_) | Self::Stat(..) => None,
        }
    }
}

/// Why bytes are no answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WireError {
    /// A flag has no number where it must have one, or stands twice.
    Flag,
    /// No answer begins so.
    Kind,
    /// A line is longer than [`MAX_LINE`], does not end with CR and LF, or is no text.
    Line,
    /// A value is not followed by CR and LF.
    Terminator,
    /// The length of a value is no number, or more than the decoder takes.
    ValueLength,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "the answer has a flag that is none",
            Self::Kind => "no answer of memcached's meta protocol begins so",
            Self::Line => "the line of an answer is too long or does not end as it must",
            Self::Terminator => "a value does not end where it must",
            Self::ValueLength => "a value is longer than any that was asked for, or its length is no number",
        })
    }
}

impl Error for WireError {}
