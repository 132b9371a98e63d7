use cloakroom_core::{
    Access, CommitError, CookieHeld, Engine, Entropy, EntropyError, Loaded, RequestInfo, Session, Step, UnixTime,
};

use super::{number, ring};

struct Fixed;

impl Entropy for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(0xa5);
        Ok(())
    }
}

const NOW: UnixTime = UnixTime::from_millis(1_800_000_000_000);

/// Any header opens nothing that was not sealed. What was sealed, in however many pieces, comes back; with anything in it
/// changed, or a piece of another writing in it, nothing does.
pub fn held_cookie(data: &[u8]) {
    let Some((&how, mut rest)) = data.split_first() else { return };
    let held = if how & 1 == 0 { CookieHeld::encrypted() } else { CookieHeld::dangerous_readable() };
    let held = held.pieces(1 + usize::from(how >> 1 & 3));
    let engine = Engine::builder(ring(1)).hold_in_cookie(held).build().expect("an engine");
    opened(&engine, rest, |loaded| assert!(loaded.is_new(), "nothing made up opens"));
    let len = (number(&mut rest) % 12_000) as usize;
    let text: String = rest.iter().cycle().take(len).map(|byte| char::from(b' ' + byte % 90)).collect();
    let [Some(pairs), Some(others)] = [&text, &format!("{text}!")].map(|text| sealed(&engine, text)) else { return };
    let header = |pairs: &[String]| pairs.join("; ").into_bytes();
    let value = |bytes: &[u8]| opened(&engine, bytes, |loaded| loaded.get::<String>("value").expect("readable"));
    assert_eq!(value(&header(&pairs)).as_ref(), Some(&text), "what was sealed comes back");
    for change in rest.chunks_exact(4).take(8) {
        let mut changed = pairs.clone();
        let at = usize::from(change[0]) % pairs.len();
        if change[3] & 0x80 == 0 {
            let mut pair = std::mem::take(&mut changed[at]).into_bytes();
            let start = pair.iter().position(|&byte| byte == b'=').expect("a pair") + 1;
            let place = start + (usize::from(change[1]) << 8 | usize::from(change[2])) % (pair.len() - start);
            pair[place] = b"AZaz09-_~"[usize::from(change[3]) % 9];
            changed[at] = String::from_utf8(pair).expect("ASCII");
        } else if let Some(other) = others.get(at).filter(|_| pairs.len() > 1 && others.len() > 1) {
            changed[at].clone_from(other);
        }
        let expected = (changed == pairs).then_some(&text);
        assert_eq!(value(&header(&changed)).as_ref(), expected, "nothing but what was sealed opens");
    }
}

fn opened<T>(engine: &Engine, header: &[u8], look: impl FnOnce(&mut Loaded) -> T) -> T {
    let mut session = engine.open([header], &RequestInfo::new());
    look(loaded(&mut session))
}

fn loaded(session: &mut Session) -> &mut Loaded {
    match session.access() {
        Access::Ready(loaded) => loaded,
        Access::Load(load) => match load.supply(None, NOW).expect("what is authentic decodes") {
            Access::Ready(loaded) => loaded,
            Access::Load(_) => panic!("nobody is signed in"),
        },
    }
}

/// The pairs of a session with this value, unless it does not fit.
fn sealed(engine: &Engine, text: &str) -> Option<Vec<String>> {
    let mut session = engine.open([], &RequestInfo::new());
    loaded(&mut session).insert("value", text).expect("a value");
    let Step::Done(done) = session.commit(NOW, &mut Fixed) else { panic!("the store is asked for nothing") };
    match done.result() {
        Ok(()) => {}
        Err(CommitError::CookieTooLarge { size, limit, .. }) if size > limit => return None,
        Err(error) => panic!("{error}"),
    }
    let lines = done.headers().filter(|(name, _)| *name == "set-cookie");
    let pairs: Vec<String> = lines.filter_map(|(_, line)| line.split(';').next().map(str::to_owned)).collect();
    assert!(pairs.iter().all(|pair| pair.len() <= 4097), "name, value and the sign between them");
    Some(pairs)
}
