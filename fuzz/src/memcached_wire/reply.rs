//! Answers as a server would write them.

use arbitrary::Arbitrary;
use cloakroom_core::Value;
use cloakroom_memcached::wire::{Answer, Flags};

use super::MAX_VALUE;

/// An answer, as a server would write it.
#[derive(Arbitrary, Debug)]
pub(super) enum Reply {
    Bare(u8),
    Found(Vec<u8>, u64, Option<u32>, u32),
    Verdict(u8, u64, u32),
    Words(bool, String),
}

impl Reply {
    /// Writes it; returns what it means.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Answer {
        let mut flags = Flags::default();
        match self {
            Self::Bare(which) => {
                let (line, answer) = [("MN", Answer::Noop), ("EN", Answer::Absent), ("END", Answer::End)]
                    [usize::from(which) % 3]
                    .clone();
                out.extend_from_slice(format!("{line}\r\n").as_bytes());
                answer
            }
            Self::Found(mut value, cas, ttl, opaque) => {
                value.truncate(MAX_VALUE);
                (flags.cas, flags.ttl, flags.opaque) = (Some(cas), Some(ttl.map_or(-1, i64::from)), Some(opaque));
                let ttl = flags.ttl.expect("a time");
                out.extend_from_slice(format!("VA {} c{cas} t{ttl} f7 O{opaque} W\r\n", value.len()).as_bytes());
                out.extend_from_slice(&value);
                out.extend_from_slice(b"\r\n");
                Answer::Found(Value::from(value), flags)
            }
            Self::Verdict(which, cas, opaque) => {
                (flags.cas, flags.opaque) = (Some(cas), Some(opaque));
                let (line, answer) = match which % 4 {
                    0 => ("HD", Answer::Done(flags)),
                    1 => ("EX", Answer::Exists(flags)),
                    2 => ("NF", Answer::NotFound(flags)),
                    _ => ("NS", Answer::NotStored(flags)),
                };
                out.extend_from_slice(format!("{line} O{opaque} c{cas}\r\n").as_bytes());
                answer
            }
            Self::Words(is_server, words) => {
                let words: String = words.chars().filter(|c| !c.is_control()).take(99).collect();
                let kind = if is_server { "SERVER_ERROR" } else { "CLIENT_ERROR" };
                out.extend_from_slice(format!("{kind} {words}\r\n").as_bytes());
                if is_server { Answer::ServerError(words) } else { Answer::Refused(words) }
            }
        }
    }
}
