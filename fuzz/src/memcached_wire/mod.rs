mod reply;

use arbitrary::{Arbitrary, Unstructured};
use cloakroom_core::Value;
use cloakroom_memcached::wire::{Answer, Command, Decoder, WireError};

use self::reply::Reply;
use super::entry::key;

const MAX_VALUE: usize = 64;

#[derive(Arbitrary)]
struct Input<'a> {
    /// Where what comes is cut into pieces.
    cuts: Vec<u8>,
    replies: Vec<Reply>,
    raw: &'a [u8],
}

/// Any bytes are answers or an error that stays, the same wherever they are cut; what is written is read as it was meant; and
/// no value ends a command early.
pub fn memcached_wire(data: &[u8]) {
    let Ok(Input { cuts, replies, raw }) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (mut bytes, mut meant) = (Vec::new(), Vec::new());
    for reply in replies {
        meant.push(reply.write(&mut bytes));
    }
    let (read, error) = decoded(&[&bytes]);
    assert_eq!((read, error), (meant, None), "{}", bytes.escape_ascii());

    bytes.extend_from_slice(raw);
    let whole = decoded(&[&bytes]);
    let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
    for cut in cuts {
        let (piece, later) = rest.split_at(rest.len().min(usize::from(cut)));
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    assert_eq!(decoded(&pieces), whole, "cut into {pieces:?}");

    let (mut command, value) = (Vec::new(), Value::from(raw));
    Command::Add { key: key(1).as_bytes(), value: &value, ttl: 9 }.encode(1, &mut command);
    let end = command.iter().position(|&byte| byte == b'\n').expect("a line");
    let line = str::from_utf8(&command[..end]).expect("text");
    assert_eq!(line.split(' ').nth(2).and_then(|len| len.parse().ok()), Some(raw.len()));
    assert_eq!(command[end + 1..].strip_suffix(b"\r\n"), Some(raw));
}

/// All answers of what comes in pieces, and the error behind them.
fn decoded(pieces: &[&[u8]]) -> (Vec<Answer>, Option<WireError>) {
    let (mut decoder, mut answers) = (Decoder::new(MAX_VALUE), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        while let Ok(Some(answer)) = decoder.next_answer() {
            answers.push(answer);
        }
    }
    (answers, decoder.next_answer().err())
}
