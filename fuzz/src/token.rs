use cloakroom_core::{KeyId, Refusal, SessionId, SignedTokens, TokenScheme};

use super::ring;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Nothing is accepted but what was minted, and what was minted is accepted, for its cookie and engine alone.
pub fn token(data: &[u8]) {
    let tokens = SignedTokens::new(&ring(1), "app", "__Host-id");
    any(&tokens, data);
    let Some((id, changes)) = data.split_at_checked(SessionId::NATIVE_LEN) else { return };
    let id = SessionId::from_bytes(id).expect("an id of the native length");
    for signer in [1, 2] {
        let minted = minted(&id, signer);
        opens(&tokens, &minted, &id, signer);
        belongs_to_one_cookie_of_one_engine(&minted);
        any(&tokens, &change(&minted, changes));
    }
}

/// Any bytes: accepted only if they are, to the byte, what the named key mints for the id; else refused for what is wrong
/// with them. libFuzzer sees what a target compares and can hand a token that was minted back in, so that acceptance alone
/// is no forgery.
fn any(tokens: &SignedTokens, value: &[u8]) {
    let sextet = |at: usize| ALPHABET.iter().position(|known| Some(known) == value.get(at));
    let is_token = value.len() == SignedTokens::LEN && (0..value.len()).all(|at| sextet(at).is_some());
    assert_eq!(tokens.is_well_formed(value), is_token, "44 characters of base64url, and nothing else, are well-formed");
    let signer = match (sextet(0), sextet(1)) {
        (Some(high), Some(low)) if is_token => (high << 2 | low >> 4) as u8,
        _ => return assert_eq!(tokens.verify(value), Err(Refusal::Malformed), "no token by its shape"),
    };
    match tokens.verify(value) {
        Ok(verified) => assert_eq!(minted(&verified.id, signer).as_bytes(), value, "only what is minted is accepted"),
        Err(refusal) if signer == 1 || signer == 2 => assert_eq!(refusal, Refusal::Forged),
        Err(refusal) => assert_eq!(refusal, Refusal::UnknownKey(KeyId::new(signer))),
    }
}

fn minted(id: &SessionId, signer: u8) -> String {
    let mut minted = String::new();
    SignedTokens::new(&ring(signer), "app", "__Host-id").mint(id, &mut minted);
    minted
}

fn opens(tokens: &SignedTokens, minted: &str, id: &SessionId, signer: u8) {
    assert!(tokens.is_well_formed(minted.as_bytes()), "what is minted is well-formed");
    let verified = tokens.verify(minted.as_bytes()).expect("what is minted is accepted");
    assert_eq!(verified.id, *id, "the id comes back");
    assert_eq!((verified.key, verified.outdated), (Some(KeyId::new(signer)), signer != 1), "the key is named");
}

fn belongs_to_one_cookie_of_one_engine(minted: &str) {
    for (engine, cookie) in [("app", "__Host-id2"), ("app2", "__Host-id"), ("app__Host-", "id")] {
        let other = SignedTokens::new(&ring(1), engine, cookie);
        assert_eq!(other.verify(minted.as_bytes()), Err(Refusal::Forged), "{engine}, {cookie}: a token of another");
    }
}

/// Changes a token as the bytes say, two at a time: where, and by what.
fn change(minted: &str, changes: &[u8]) -> Vec<u8> {
    let mut token = minted.as_bytes().to_vec();
    for &[at, by] in changes.as_chunks::<2>().0 {
        let at = usize::from(at);
        match at.checked_sub(token.len()) {
            None => token[at] ^= by,
            Some(beyond) if beyond % 2 == 0 => token.truncate(usize::from(by)),
            Some(_) => token.push(by),
        }
    }
    token
}
