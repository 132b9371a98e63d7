//! Answers, from bytes as they come.

use std::io;

use redis::{Value, parse_redis_value};

/// The longest line that is no value, in bytes: an error's words, or a state.
const MAX_LINE: usize = 64 * 1024;
/// How deep arrays may be in arrays. No answer that is asked for has more than four.
const MAX_DEPTH: usize = 8;
/// The longest value that a server can be told to take, in bytes.
const MAX_VALUE: usize = 1 << 30;
/// The least room that is read into.
const ROOM: usize = 4 * 1024;
/// How much room is kept when all that came was taken.
const KEPT: usize = 64 * 1024;

/// Takes bytes as they come, and returns answers.
#[derive(Default)]
pub(crate) struct Decoder {
    /// What came is in front, from `start` to `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How far the list in front was followed, where it was not all there: what came is not read from its start each time.
    follow: Option<Follow>,
}

impl Decoder {
    /// Returns room for what comes next, and some.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > KEPT {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < ROOM {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < ROOM {
                // What is there twice over: a long value is not copied for each piece of it.
                self.buffer.resize(2 * (self.end + ROOM), 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Says that so many bytes of the room are filled.
    pub(crate) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// Returns the next answer; `None` while it is not all there.
    ///
    /// # Errors
    ///
    /// What came is no answer. Where the next one begins, nobody can tell.
    pub(crate) fn next_answer(&mut self) -> io::Result<Option<Value>> {
        let unread = &self.buffer[self.start..self.end];
        let is_there = self.follow.as_mut().map_or(Ok(()), |follow| follow.go_on(unread));
        let read = match is_there {
            Ok(()) => read(unread),
            Err(Stop::Broken) => Read::Broken,
            Err(Stop::Partial) => Read::Partial,
        };
        match read {
            Read::Broken => Err(io::ErrorKind::InvalidData.into()),
            Read::Partial => {
                if unread.first() == Some(&b'*') {
                    self.follow.get_or_insert_default();
                }
                Ok(None)
            }
            Read::Value(answer, len) => {
                self.follow = None;
                self.start += len;
                Ok(Some(answer))
            }
        }
    }
}

pub(super) enum Read {
    /// These are no bytes of the protocol.
    Broken,
    /// There is more to come.
    Partial,
    /// A value, and how many bytes it takes.
    Value(Value, usize),
}

/// Reads the value in front.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut cursor = Cursor { bytes, at: 0 };
    match cursor.value(MAX_DEPTH) {
        Ok(value) => Read::Value(value, cursor.at),
        Err(Stop::Broken) => Read::Broken,
        Err(Stop::Partial) => Read::Partial,
    }
}

/// Follows an answer to its end, piece by piece, and makes nothing of it.
#[derive(Default)]
struct Follow {
    at: usize,
    /// How many values each list that is open still has.
    open: Vec<usize>,
}

impl Follow {
    /// Goes on in the same bytes, of which there may be more by now; well when the end is there.
    fn go_on(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        loop {
            let mut cursor = Cursor { bytes, at: self.at };
            let (kind, rest) = cursor.line()?.split_first().ok_or(Stop::Broken)?;
            let len = if matches!(kind, b'$' | b'*') { len(rest)? } else { None };
            match (kind, len) {
                (b'*', Some(1..)) if self.open.len() == MAX_DEPTH => return Err(Stop::Broken),
                (b'*', Some(len @ 1..)) => {
                    self.open.push(len);
                    self.at = cursor.at;
                    continue;
                }
                (b'$', Some(len)) => drop(cursor.bulk(len)?),
                _ => {}
            }
            self.at = cursor.at;
            // The last value of a list ends that, too.
            loop {
                match self.open.last_mut() {
                    None => return Ok(()),
                    Some(left) if *left > 1 => {
                        *left -= 1;
                        break;
                    }
                    Some(_) => drop(self.open.pop()),
                }
            }
        }
    }
}

enum Stop {
    Broken,
    Partial,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let whole = self.at;
        let line = self.line()?;
        let (&kind, rest) = line.split_first().ok_or(Stop::Broken)?;
        Ok(match kind {
            b'$' => match len(rest)? {
                None => Value::Nil,
                Some(len) => Value::BulkString(self.bulk(len)?.to_vec()),
            },
            b':' => Value::Int(number(rest).ok_or(Stop::Broken)?),
            b'*' => match len(rest)? {
                None => Value::Nil,
                Some(_) if depth == 0 => return Err(Stop::Broken),
                // It may name more than it brings: room for one comes with it.
                Some(len) => {
                    let mut values = Vec::new();
                    for _ in 0..len {
                        values.push(self.value(depth - 1)?);
                    }
                    Value::Array(values)
                }
            },
            b'+' if rest == b"OK" => Value::Okay,
            b'+' => Value::SimpleString(str::from_utf8(rest).map_err(|_| Stop::Broken)?.to_owned()),
            // Rare, and the library alone makes errors of its type.
            b'-' => parse_redis_value(&self.bytes[whole..self.at]).map_err(|_| Stop::Broken)?,
            _ => return Err(Stop::Broken),
        })
    }

    /// Takes the line in front, without its end.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let searched = &rest[..rest.len().min(MAX_LINE)];
        let Some(end) = searched.iter().position(|&byte| byte == b'\n') else {
            return Err(if rest.len() < MAX_LINE { Stop::Partial } else { Stop::Broken });
        };
        self.at += end + 1;
        rest[..end].strip_suffix(b"\r").ok_or(Stop::Broken)
    }

    /// Takes so many bytes, and the end of the line behind them.
    fn bulk(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        if len > MAX_VALUE {
            return Err(Stop::Broken);
        }
        let rest = &self.bytes[self.at..];
        let Some((bulk, end)) = rest.get(..len + 2).map(|bulk| bulk.split_at(len)) else { return Err(Stop::Partial) };
        self.at += len + 2;
        if end == b"\r\n" { Ok(bulk) } else { Err(Stop::Broken) }
    }
}

/// Reads how much there is; -1 says that there is nothing.
fn len(digits: &[u8]) -> Result<Option<usize>, Stop> {
    match number(digits) {
        Some(-1) => Ok(None),
        Some(len) => usize::try_from(len).map(Some).map_err(|_| Stop::Broken),
        None => Err(Stop::Broken),
    }
}

/// Reads digits, which may have a minus before them.
fn number(digits: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match digits.strip_prefix(b"-") {
        None => (false, digits),
        Some(digits) => (true, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        let number = number.checked_mul(10).filter(|_| digit < 10)?;
        if is_negative { number.checked_sub(digit) } else { number.checked_add(digit) }
    })
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::{Decoder, KEPT, MAX_DEPTH, MAX_LINE, Read, read};

    /// Answers as Redis gives them.
    const ANSWERS: [&[u8]; 16] = [
        b"$3\r\nabc\r\n",
        b":-2\r\n",
        b"$-1\r\n",
        b"+OK\r\n",
        b"+PONG\r\n",
        b"$0\r\n\r\n",
        b"$7\r\n\r\n:1\r\n\xff\r\n",
        b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
        b"-LOADING\r\n",
        b"*2\r\n$1\r\na\r\n:3599999\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*2\r\n:3\r\n*3\r\n$1\r\na\r\n$-1\r\n$1\r\nc\r\n",
        b"*2\r\n-ERR in an array\r\n+OK\r\n",
        b":9223372036854775807\r\n",
        b":-9223372036854775808\r\n",
    ];

    fn push(decoder: &mut Decoder, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = decoder.room();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            decoder.filled(len);
            bytes = &bytes[len..];
        }
    }

    fn answers(decoder: &mut Decoder) -> Vec<Value> {
        let mut answers = Vec::new();
        while let Some(answer) = decoder.next_answer().unwrap() {
            answers.push(answer);
        }
        answers
    }

    #[test]
    fn answers_are_what_the_library_reads_however_they_arrive() {
        let expected: Vec<Value> = ANSWERS.iter().map(|answer| parse_redis_value(answer).unwrap()).collect();
        let stream = ANSWERS.concat();
        for at in 0..=stream.len() {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in [&stream[..at], &stream[at..]] {
                push(&mut decoder, part);
                found.extend(answers(&mut decoder));
            }
            assert_eq!(found, expected, "split at {at}");
            assert_eq!(decoder.start, decoder.end, "nothing is left over");
        }
    }

    #[test]
    fn nothing_is_read_that_the_library_reads_otherwise() {
        let stream = ANSWERS.concat();
        let (mut read_some, mut refused) = (0, 0);
        let mut state = 1_u64;
        let mut random = |below: usize| {
            // Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..200_000 {
            let start = random(stream.len());
            let mut bytes = stream[start..(start + 1 + random(40)).min(stream.len())].to_vec();
            for _ in 0..random(3) {
                let place = random(bytes.len());
                bytes[place] = b"$*:+-0123456789\r\na_"[random(19)];
            }
            match read(&bytes) {
                Read::Value(value, len) => {
                    assert_eq!(parse_redis_value(&bytes[..len]).unwrap(), value, "{:?}", bytes.escape_ascii());
                    read_some += 1;
                }
                Read::Broken => refused += 1,
                // The library has no answer either.
                Read::Partial => assert!(parse_redis_value(&bytes).is_err(), "{:?}", bytes.escape_ascii()),
            }
        }
        assert!(read_some > 10_000 && refused > 10_000, "{read_some} {refused}");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [
            &b"\r\n"[..],
            b"hello\r\n",
            b"$3\r\nabcd\r\n",
            b"$3\r\nabc\n\n",
            b"$-2\r\n",
            b"$x\r\n",
            b"$1073741825\r\n",
            b"*-2\r\n",
            b":\r\n",
            b":-\r\n",
            b":+1\r\n",
            b":1 \r\n",
            b":9223372036854775808\r\n",
            b"+\xff\r\n",
            b"+OK\n",
            b"_\r\n",
            b"%1\r\n+a\r\n:1\r\n",
            b"*1\r\n?\r\n",
        ] {
            assert!(matches!(read(bytes), Read::Broken), "{:?}", bytes.escape_ascii());
            let mut decoder = Decoder::default();
            push(&mut decoder, bytes);
            assert!(decoder.next_answer().is_err());
        }
    }

    #[test]
    fn a_long_list_is_followed_once_however_it_arrives() {
        let member = |n: u32| format!("$10\r\nmember{n:04}\r\n");
        let list =
            ["*2\r\n:3000\r\n*3000\r\n".to_owned(), (0..3000).map(member).collect(), ":7\r\n".to_owned()].concat();
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in list.as_bytes().chunks(100) {
            push(&mut decoder, piece);
            found.extend(answers(&mut decoder));
            // At most the last piece and a part of one member are looked at again.
            let followed = decoder.follow.as_ref().map_or(0, |follow| follow.at);
            assert!(decoder.end - decoder.start - followed < 120, "it goes on where it was");
        }
        assert!(decoder.follow.is_none());
        let members = (0..3000).map(|n| Value::BulkString(format!("member{n:04}").into_bytes())).collect();
        assert_eq!(found, [Value::Array(vec![Value::Int(3000), Value::Array(members)]), Value::Int(7)]);
        // What is broken is found in the middle of it.
        let mut decoder = Decoder::default();
        push(&mut decoder, b"*2\r\n:1\r\n");
        assert!(decoder.next_answer().unwrap().is_none());
        push(&mut decoder, b"$-2\r\n");
        assert!(decoder.next_answer().is_err());
    }

    #[test]
    fn lines_and_depth_have_a_bound() {
        let line = |len: usize| [b"+", "a".repeat(len).as_bytes()].concat();
        assert!(matches!(read(&line(MAX_LINE - 2)), Read::Partial));
        assert!(matches!(read(&line(MAX_LINE - 1)), Read::Broken));
        let nested = |depth: usize| ["*1\r\n".repeat(depth).as_bytes(), b":1\r\n"].concat();
        assert!(matches!(read(&nested(MAX_DEPTH)), Read::Value(..)));
        assert!(matches!(read(&nested(MAX_DEPTH + 1)), Read::Broken));
        assert!(matches!(read(b"*9223372036854775807\r\n"), Read::Partial), "no room is made for what is not there");
    }

    #[test]
    fn long_values_come_whole_and_their_room_is_given_back() {
        let value = |number: u8| vec![number; 9_000 * usize::from(number % 20)];
        let bulk = |number| [format!("${}\r\n", value(number).len()).as_bytes(), &value(number)[..], b"\r\n"].concat();
        let stream: Vec<u8> = (0..60).flat_map(bulk).collect();
        for size in [1_000, 16 * 1024, 100_000] {
            let (mut decoder, mut numbers) = (Decoder::default(), 0..60);
            for piece in stream.chunks(size) {
                push(&mut decoder, piece);
                for answer in answers(&mut decoder) {
                    assert_eq!(answer, Value::BulkString(value(numbers.next().unwrap())));
                }
            }
            assert_eq!(numbers.next(), None);
            decoder.room();
            assert!(decoder.buffer.len() <= KEPT, "{}", decoder.buffer.len());
        }
    }
}
