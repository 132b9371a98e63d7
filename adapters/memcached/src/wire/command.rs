//! What is asked of a server.

use std::io::Write as _;

use cloakroom_core::Value;

/// A command. Keys are 1 to 250 bytes of visible ASCII: nothing here checks that.
#[allow(clippy::exhaustive_enums, reason = "what a store needs, and no more")]
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// `ms .. ME`: stores only where nothing is.
    Add {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a Value,
        /// What the server takes for an expiry time: up to 30 days in seconds, or else a Unix time; 0 would be never.
        ttl: u32,
    },
    /// `ms .. C`: stores only over what has this CAS number.
    CompareAndSet {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a Value,
        /// As with [`Command::Add`].
        ttl: u32,
        /// The CAS number. Some servers store whatever is there when it is 0.
        cas: u64,
    },
    /// `md .. C`: removes only what has this CAS number.
    Delete {
        /// The key.
        key: &'a [u8],
        /// As with [`Command::CompareAndSet`].
        cas: u64,
    },
    /// `mg`: the value, its CAS number and the time that is left.
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// `mn`: an answer, and nothing else.
    Noop,
    /// `stats`: statistics of the server, or of a section of them.
    Stats {
        /// The section.
        section: Option<&'static str>,
    },
}

impl Command<'_> {
    /// Appends the command to a buffer. The answer repeats `opaque`, where it repeats anything.
    pub fn encode(&self, opaque: u32, out: &mut Vec<u8>) {
        match *self {
            Self::Add { key, value, ttl } => {
                let rest = format_args!(" {} c ME T{ttl} O{opaque}\r\n", value.len());
                put(out, "ms ", key, rest);
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::CompareAndSet { key, value, ttl, cas } => {
                let rest = format_args!(" {} c C{cas} T{ttl} O{opaque}\r\n", value.len());
                put(out, "ms ", key, rest);
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::Delete { key, cas } => put(out, "md ", key, format_args!(" C{cas} O{opaque}\r\n")),
            Self::Get { key } => put(out, "mg ", key, format_args!(" c t v O{opaque}\r\n")),
            Self::Noop => out.extend_from_slice(b"mn\r\n"),
            Self::Stats { section: None } => out.extend_from_slice(b"stats\r\n"),
            Self::Stats { section: Some(section) } => put(out, "stats ", section.as_bytes(), format_args!("\r\n")),
        }
    }

    /// Tells whether the answer is as many as there are statistics, and one that ends them.
    pub(crate) fn has_many_answers(&self) -> bool {
        matches!(self, Self::Stats { .. })
    }
}

fn put(out: &mut Vec<u8>, command: &str, key: &[u8], rest: std::fmt::Arguments<'_>) {
    out.extend_from_slice(command.as_bytes());
    out.extend_from_slice(key);
    // Writing to memory does not fail.
    let _ = out.write_fmt(rest);
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Value;

    use super::Command;

    #[track_caller]
    fn written(command: Command<'_>, expected: &str) {
        let mut out = b"before;".to_vec();
        command.encode(4_000_000_000, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before;{expected}"));
    }

    #[test]
    fn commands_are_written_as_the_protocol_has_them() {
        let value = Value::from(&b"a\r\nb"[..]);
        let key = b"cloakroom:k";
        written(Command::Get { key }, "mg cloakroom:k c t v O4000000000\r\n");
        written(Command::Add { key, value: &value, ttl: 61 }, "ms cloakroom:k 4 c ME T61 O4000000000\r\na\r\nb\r\n");
        written(
            Command::CompareAndSet { key, value: &value, ttl: 2_000_000_000, cas: u64::MAX },
            "ms cloakroom:k 4 c C18446744073709551615 T2000000000 O4000000000\r\na\r\nb\r\n",
        );
        written(Command::Delete { key, cas: 9 }, "md cloakroom:k C9 O4000000000\r\n");
        written(Command::Noop, "mn\r\n");
        written(Command::Stats { section: None }, "stats\r\n");
        written(Command::Stats { section: Some("settings") }, "stats settings\r\n");
    }
}
