//! What a server answers, from bytes.

use std::mem;

use cloakroom_core::Value;

use super::{Answer, Flags, WireError};

/// The longest line of an answer, in bytes, without the value behind it.
pub const MAX_LINE: usize = 2048;

/// How many bytes of answers that were taken are kept before they are moved out of the way.
const SLACK: usize = 64 * 1024;

/// Takes bytes as they come, and returns answers.
#[derive(Debug)]
pub struct Decoder {
    // Not printed as text: it holds values.
    unread: Unread,
    max_value: usize,
    broken: Option<WireError>,
}

impl Decoder {
    /// Takes values of up to so many bytes.
    pub fn new(max_value: usize) -> Self {
        Self { unread: Unread::default(), max_value, broken: None }
    }

    /// Takes what the server sent.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.unread.push(bytes);
        }
    }

    /// Returns the next answer; `None` while it is not all there.
    ///
    /// # Errors
    ///
    /// [`WireError`], and the same from then on.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, WireError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let next = next(self.unread.bytes(), self.max_value);
        match next {
            Ok(None) => Ok(None),
            Ok(Some((answer, len))) => {
                self.unread.skip(len);
                Ok(Some(answer))
            }
            Err(error) => {
                self.broken = Some(error);
                self.unread = Unread::default();
                Err(error)
            }
        }
    }

    /// Returns how many bytes wait for more.
    pub fn unread(&self) -> usize {
        self.unread.bytes().len()
    }
}

/// Bytes of which those in front were taken.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    start: usize,
}

impl Unread {
    fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > SLACK {
                drop(mem::take(&mut self.bytes));
            }
        } else if self.start > SLACK {
            self.bytes.drain(..mem::take(&mut self.start));
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn skip(&mut self, len: usize) {
        self.start += len;
    }
}

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes().len())
    }
}

/// Reads the answer in front, and its length.
fn next(bytes: &[u8], max_value: usize) -> Result<Option<(Answer, usize)>, WireError> {
    let searched = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = searched.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(WireError::Line) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(WireError::Line)?;
    let line = str::from_utf8(line).map_err(|_| WireError::Line)?;
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    let start = end + 1;
    let answer = match kind {
        "HD" => Answer::Done(flags(rest)?),
        "EX" => Answer::Exists(flags(rest)?),
        "NF" => Answer::NotFound(flags(rest)?),
        "NS" => Answer::NotStored(flags(rest)?),
        "EN" => flags(rest).map(|_| Answer::Absent)?,
        "VA" => {
            let (len, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let len = number::<usize>(len).filter(|&len| len <= max_value).ok_or(WireError::ValueLength)?;
            let flags = flags(rest)?;
            let Some(value) = bytes.get(start..start + len) else { return Ok(None) };
            let terminator = &bytes[start + len..];
            return match terminator.get(..2) {
                Some(b"\r\n") => Ok(Some((Answer::Found(Value::from(value), flags), start + len + 2))),
                None if b"\r\n".starts_with(terminator) => Ok(None),
                _ => Err(WireError::Terminator),
            };
        }
        "MN" if rest.is_empty() => Answer::Noop,
        "END" if rest.is_empty() => Answer::End,
        "STAT" => {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            Answer::Stat(name.to_owned(), value.to_owned())
        }
        "ERROR" => Answer::Refused("it does not know the command".to_owned()),
        "CLIENT_ERROR" => Answer::Refused(rest.to_owned()),
        "SERVER_ERROR" => Answer::ServerError(rest.to_owned()),
        _ => return Err(WireError::Kind),
    };
    Ok(Some((answer, start)))
}

fn flags(text: &str) -> Result<Flags, WireError> {
    let mut flags = Flags::default();
    for flag in text.split(' ').filter(|flag| !flag.is_empty()) {
        // A line is text, and a flag begins with a letter.
        let (name, token) = flag.split_at(flag.ceil_char_boundary(1));
        match name {
            "c" => put(&mut flags.cas, number(token))?,
            "O" => put(&mut flags.opaque, number(token))?,
            "t" => put(&mut flags.ttl, if token == "-1" { Some(-1) } else { number::<u32>(token).map(i64::from) })?,
            "X" | "Z" => flags.is_stale = true,
            // Whatever a server adds.
            _ => {}
        }
    }
    Ok(flags)
}

fn put<T>(flag: &mut Option<T>, token: Option<T>) -> Result<(), WireError> {
    match flag.is_none() && token.is_some() {
        true => *flag = token,
        false => return Err(WireError::Flag),
    }
    Ok(())
}

/// Reads digits and nothing else: the standard library takes a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use cloakroom_core::Value;

    use super::{Answer, Decoder, Flags, MAX_LINE, WireError};

    fn decoded(bytes: &[u8]) -> (Vec<Answer>, Option<WireError>) {
        let mut decoder = Decoder::new(100);
        decoder.push(bytes);
        let mut answers = Vec::new();
        loop {
            match decoder.next_answer() {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => return (answers, None),
                Err(error) => return (answers, Some(error)),
            }
        }
    }

    /// Answers as memcached 1.6.18 gives them.
    const SESSION: &[u8] =
        b"HD c1 O77\r\nNS c0 O78\r\nVA 3 t599 c1 O12\r\nabc\r\nEX c0 O5\r\nNF c0 O5\r\nEN O6\r\nMN\r\n\
        EN\r\nHD\r\nVA 4 c6 t30 O1 X W\r\nEN\r\n\r\nVA 0 t-1\r\n\r\nSTAT evictions on\r\nSTAT item_size_max 1048576\r\n\
        END\r\nERROR\r\nCLIENT_ERROR bad data chunk\r\nSERVER_ERROR object too large for cache\r\n";

    fn session() -> Vec<Answer> {
        let flags = |cas, opaque| Flags { cas, opaque, ..Flags::default() };
        let stat = |name: &str, value: &str| Answer::Stat(name.to_owned(), value.to_owned());
        vec![
            Answer::Done(flags(Some(1), Some(77))),
            Answer::NotStored(flags(Some(0), Some(78))),
            Answer::Found(Value::from(&b"abc"[..]), Flags { ttl: Some(599), ..flags(Some(1), Some(12)) }),
            Answer::Exists(flags(Some(0), Some(5))),
            Answer::NotFound(flags(Some(0), Some(5))),
            Answer::Absent,
            Answer::Noop,
            Answer::Absent,
            Answer::Done(Flags::default()),
            Answer::Found(
                Value::from(&b"EN\r\n"[..]),
                Flags { ttl: Some(30), is_stale: true, ..flags(Some(6), Some(1)) },
            ),
            Answer::Found(Value::from(&b""[..]), Flags { ttl: Some(-1), ..Flags::default() }),
            stat("evictions", "on"),
            stat("item_size_max", "1048576"),
            Answer::End,
            Answer::Refused("it does not know the command".to_owned()),
            Answer::Refused("bad data chunk".to_owned()),
            Answer::ServerError("object too large for cache".to_owned()),
        ]
    }

    #[test]
    fn answers_mean_what_the_protocol_says() {
        assert_eq!(decoded(SESSION), (session(), None));
    }

    #[test]
    fn answers_are_the_same_however_they_arrive() {
        for at in 0..=SESSION.len() {
            let mut decoder = Decoder::new(4);
            let mut answers = Vec::new();
            for part in [&SESSION[..at], &SESSION[at..]] {
                decoder.push(part);
                while let Some(answer) = decoder.next_answer().unwrap() {
                    answers.push(answer);
                }
            }
            assert_eq!(answers, session(), "split at {at}");
            assert_eq!(decoder.unread(), 0);
        }
    }

    #[test]
    fn a_long_stream_in_any_pieces_loses_nothing() {
        let value = |number: u8| vec![number; 9_000 * usize::from(number % 20)];
        let stream: Vec<u8> = (0..60)
            .flat_map(|number| {
                [format!("VA {} c1\r\n", value(number).len()).into_bytes(), value(number), b"\r\n".to_vec()]
            })
            .flatten()
            .collect();
        for size in [1_000, 16 * 1024, 100_000] {
            let (mut decoder, mut numbers) = (Decoder::new(200_000), 0..60);
            for piece in stream.chunks(size) {
                decoder.push(piece);
                while let Some(answer) = decoder.next_answer().unwrap() {
                    let Answer::Found(found, _) = answer else { panic!("no value") };
                    assert_eq!(found, Value::from(value(numbers.next().unwrap())), "pieces of {size}");
                }
            }
            assert_eq!((numbers.next(), decoder.unread()), (None, 0));
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_for_good() {
        for (bytes, error) in [
            (&b"hello\r\n"[..], WireError::Kind),
            (b"\r\n", WireError::Kind),
            (b"MN now\r\n", WireError::Kind),
            (b"hd c1\r\n", WireError::Kind),
            (b"HD c1\n", WireError::Line),
            (b"HD \xff\r\n", WireError::Line),
            (b"HD cx\r\n", WireError::Flag),
            (b"HD c\r\n", WireError::Flag),
            (b"HD c+1\r\n", WireError::Flag),
            (b"HD c18446744073709551616\r\n", WireError::Flag),
            (b"HD c1 c1\r\n", WireError::Flag),
            (b"HD O4294967296\r\n", WireError::Flag),
            (b"HD t-2\r\n", WireError::Flag),
            (b"EN Ox\r\n", WireError::Flag),
            (b"VA\r\n", WireError::ValueLength),
            (b"VA c1\r\n", WireError::ValueLength),
            (b"VA -1 c1\r\n", WireError::ValueLength),
            (b"VA 101 c1\r\n", WireError::ValueLength),
            (b"VA 99999999999999999999 c1\r\n", WireError::ValueLength),
            (b"VA 2 c1\r\nabc\r\n", WireError::Terminator),
            (b"VA 2 c1\r\nab\rx", WireError::Terminator),
            (b"VA 2 c1\r\nab\n", WireError::Terminator),
        ] {
            let mut decoder = Decoder::new(100);
            decoder.push(b"MN\r\n");
            decoder.push(bytes);
            assert_eq!(decoder.next_answer(), Ok(Some(Answer::Noop)));
            assert_eq!(decoder.next_answer(), Err(error), "{}", bytes.escape_ascii());
            decoder.push(b"\r\nMN\r\n");
            assert_eq!(decoder.next_answer(), Err(error), "nobody can tell where the next one begins");
            assert_eq!(decoder.unread(), 0);
        }
    }

    #[test]
    fn a_line_has_a_bound() {
        let line = |len: usize| [b"SERVER_ERROR ".to_vec(), vec![b'x'; len - 15], b"\r\n".to_vec()].concat();
        assert!(
            matches!(&decoded(&line(MAX_LINE)).0[..], [Answer::ServerError(words)] if words.len() == MAX_LINE - 15)
        );
        assert_eq!(decoded(&line(MAX_LINE + 1)).1, Some(WireError::Line));
        assert_eq!(decoded(&vec![b'x'; MAX_LINE - 1]), (vec![], None), "it may yet end");
        assert_eq!(decoded(&vec![b'x'; MAX_LINE]).1, Some(WireError::Line));
    }

    #[test]
    fn nothing_that_is_printed_has_a_value() {
        let mut decoder = Decoder::new(100);
        decoder.push(b"VA 6 c1\r\nsecret\r\nVA 6 c1\r\nsecre");
        let answer = decoder.next_answer().unwrap();
        let shown = format!("{decoder:?} {answer:?}");
        assert!(!shown.contains("secre") && !shown.contains("115"), "{shown}");
    }
}
