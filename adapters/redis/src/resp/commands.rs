//! Commands, as a server reads them: arrays of bulk strings.

use std::mem;

use redis::{Cmd, Pipeline, Value};

use super::{
    Ask,
    decoder::{Read, read},
};

/// Commands that are written in one go, each of which has one answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Commands {
    bytes: Vec<u8>,
    count: usize,
}

/// A part of a command.
#[derive(Clone, Copy)]
pub(crate) enum Arg<'a> {
    Bytes(&'a [u8]),
    Number(u64),
}

impl Commands {
    /// Makes those that are asked.
    pub(crate) fn asked(ask: &Ask<'_>) -> Self {
        let mut commands = Self::default();
        ask(&mut commands);
        commands
    }

    /// Makes one command of words.
    pub(crate) fn of(words: &[&str]) -> Self {
        let mut commands = Self::default();
        commands.push(words.iter().map(|&word| word.into()));
        commands
    }

    /// Adds a command: its name and arguments.
    pub(crate) fn push<'a>(&mut self, args: impl IntoIterator<Item = Arg<'a>, IntoIter: Clone>) {
        let args = args.into_iter();
        self.head(b'*', args.clone().count() as u64);
        for arg in args {
            let (digits, start);
            let bytes = match arg {
                Arg::Bytes(bytes) => bytes,
                Arg::Number(number) => {
                    (digits, start) = decimal(number);
                    &digits[start..]
                }
            };
            self.head(b'$', bytes.len() as u64);
            self.bytes.extend_from_slice(bytes);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.count += 1;
    }

    /// Adds others behind these.
    pub(crate) fn append(&mut self, others: &Self) {
        self.bytes.extend_from_slice(&others.bytes);
        self.count += others.count;
    }

    fn head(&mut self, kind: u8, number: u64) {
        let (digits, start) = decimal(number);
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&digits[start..]);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Asks these.
    pub(crate) fn ask(&self) -> impl Fn(&mut Self) + Sync {
        |commands| commands.append(self)
    }

    /// Moves the bytes behind others; nothing is left.
    pub(crate) fn move_to(&mut self, out: &mut Vec<u8>) {
        self.count = 0;
        match out.is_empty() {
            true => mem::swap(out, &mut self.bytes),
            false => out.append(&mut self.bytes),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns how many bytes they take.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Leaves out pieces of the bytes, which are commands; all of them are named in order, each with whether it stays.
    pub(crate) fn keep(&mut self, pieces: &[(usize, bool)]) {
        let (mut from, mut to) = (0, 0);
        for &(len, is_kept) in pieces {
            if is_kept {
                self.bytes.copy_within(from..from + len, to);
                to += len;
            }
            from += len;
        }
        self.bytes.truncate(to);
    }

    /// The same with `ASKING` before each command.
    pub(crate) fn asking(&self) -> Self {
        let mut asking = Self::default();
        for (command, _) in self.parts() {
            asking.push(["ASKING".into()]);
            asking.bytes.extend_from_slice(command);
            asking.count += 1;
        }
        asking
    }

    /// The same for a connection of the [`redis`] crate.
    pub(crate) fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(self.count);
        for (_, args) in self.parts() {
            let mut command = Cmd::new();
            if let Value::Array(args) = args {
                command.arg(
                    args.into_iter()
                        .filter_map(|arg| match arg {
                            Value::BulkString(bytes) => Some(bytes),
                            _ => None,
                        })
                        .collect::<Vec<_>>(),
                );
            }
            pipeline.add_command(command);
        }
        pipeline
    }

    /// Takes the commands apart again: bytes and arguments of each.
    fn parts(&self) -> impl Iterator<Item = (&[u8], Value)> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || match read(rest) {
            Read::Value(args, len) => {
                let (command, behind) = rest.split_at(len);
                rest = behind;
                Some((command, args))
            }
            Read::Broken | Read::Partial => None,
        })
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Writes a number's digits at the end; returns where they start.
fn decimal(mut number: u64) -> ([u8; 20], usize) {
    let (mut digits, mut start) = ([0; 20], 20);
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return (digits, start);
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::{cmd, pipe};

    use super::Commands;

    fn commands() -> Commands {
        let mut commands = Commands::default();
        commands.push(["GET".into(), b"a \r\n\xff".as_slice().into()]);
        commands.push(["X".into(), 0.into(), 9.into(), 10.into(), u64::MAX.into(), "".into()]);
        commands
    }

    #[test]
    fn commands_are_written_as_the_library_writes_them() {
        let mut theirs = pipe();
        theirs.cmd("GET").arg(b"a \r\n\xff");
        theirs.cmd("X").arg(0).arg(9).arg(10).arg(u64::MAX).arg("");
        assert_eq!(commands().bytes, theirs.get_packed_pipeline());
        assert_eq!(commands().count(), 2);
        assert_eq!(Commands::of(&["CONFIG", "GET"]).bytes, cmd("CONFIG").arg("GET").get_packed_command());
    }

    #[test]
    fn the_library_gets_what_is_written() {
        assert_eq!(commands().pipeline().get_packed_pipeline(), commands().bytes);
    }

    #[test]
    fn they_go_behind_what_is_there() {
        let (mut all, mut out) = (commands(), Vec::new());
        all.move_to(&mut out);
        assert_eq!((&all, &out), (&Commands::default(), &commands().bytes));
        commands().ask()(&mut all);
        assert_eq!(all, commands());
        all.move_to(&mut out);
        assert_eq!(out, [commands().bytes, commands().bytes].concat());
    }

    #[test]
    fn each_command_asks_by_itself() {
        let asking = commands().asking();
        assert_eq!(asking.count(), 4);
        let mut theirs = pipe();
        theirs.cmd("ASKING").cmd("GET").arg(b"a \r\n\xff");
        theirs.cmd("ASKING").cmd("X").arg(0).arg(9).arg(10).arg(u64::MAX).arg("");
        assert_eq!(asking.bytes, theirs.get_packed_pipeline());
    }
}
