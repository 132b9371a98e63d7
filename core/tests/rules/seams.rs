//! The policies of the wire in others' hands, and the settings that an engine refuses.

use cloakroom_core::{
    ConfigError, CookieChange, Engine, Entropy, EntropyError, Event, KeyScheme, Loaded, Op, Principal, Refusal,
    SessionId, StoreKey, TokenScheme, Verified, limits,
};

use crate::common::{World, add, has, ring, ticket};

/// Another framework's cookies: `s-`, an id of 24 bytes in hex, and a checksum.
#[derive(Debug)]
struct Hex;

impl Hex {
    fn text(id: &[u8]) -> String {
        let sum = id.iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("s-{hex}{sum:02x}{}", "0".repeat(30))
    }
}

impl TokenScheme for Hex {
    fn is_well_formed(&self, value: &[u8]) -> bool {
        value.starts_with(b"s-") && value.len() == 82
    }

    fn verify(&self, value: &[u8]) -> Result<Verified, Refusal> {
        let text = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
        let byte = |n: usize| u8::from_str_radix(&text[2 + 2 * n..4 + 2 * n], 16).map_err(|_| Refusal::Malformed);
        let id: Vec<u8> = (0..24).map(byte).collect::<Result<_, _>>()?;
        if Self::text(&id) != text {
            return Err(Refusal::Forged);
        }
        Ok(Verified { id: SessionId::from_bytes(&id).unwrap(), key: None, outdated: false })
    }

    fn mint(&self, id: &SessionId, out: &mut String) {
        out.push_str(&Self::text(id.dangerous_bytes()));
    }

    fn new_id(&self, entropy: &mut dyn Entropy) -> Result<SessionId, EntropyError> {
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes)?;
        Ok(SessionId::from_bytes(&bytes).unwrap())
    }
}

#[derive(Debug)]
struct Plain;

impl KeyScheme for Plain {
    fn store_key(&self, id: &SessionId) -> StoreKey {
        let hex: String = id.dangerous_bytes().iter().rev().map(|byte| format!("{byte:02x}")).collect();
        StoreKey::new(&format!("sess/{hex}")).unwrap()
    }

    fn index_key(&self, principal: &Principal) -> StoreKey {
        StoreKey::new(&format!("of/{}", principal.as_json().as_str())).unwrap()
    }
}

#[test]
fn the_protocol_runs_over_foreign_tokens_and_keys() {
    let mut w = World::with(|builder| builder.token_scheme(Hex).key_scheme(Plain));
    let old = w.sign_in();
    assert!(old.starts_with("__Host-id=s-") && w.key(&old).as_str().starts_with("sess/"));
    assert_eq!(w.engine.inspect(old.split_once('=').unwrap().1.as_bytes()), Ok(None));
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    w.act(&mut new, add(1));
    assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(1), Some(1)));
    let last = new.clone();
    w.act(&mut new, Loaded::destroy);
    assert!(!w.opens(&old) && !w.opens(&last));
    assert!(w.store.log.iter().all(|op| op.key().as_str().starts_with("sess/")));
    w.ops();
    for (forged, event) in
        [(last.replace("000000", "000001"), Event::ForgedToken), ("__Host-id=x".to_owned(), Event::MalformedToken)]
    {
        let done = w.request(&forged, |loaded| assert!(loaded.is_new()));
        assert!(has(&done, event));
    }
    assert_eq!(w.ops(), "");
}

#[test]
fn several_foreign_tokens_are_told_apart_by_all_their_characters() {
    let mut w = World::with(|builder| builder.token_scheme(Hex));
    let (a, b) = (w.sign_in(), w.sign_in());
    let done = w.request(&format!("{a}; {b}"), |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::Ambiguous));
    let done = w.request(&format!("{a}; {a}"), |loaded| assert!(!loaded.is_new()));
    assert!(!has(&done, Event::Ambiguous));
}

#[test]
fn a_token_that_makes_too_large_a_cookie_is_an_error() {
    #[derive(Debug)]
    struct Huge;
    impl TokenScheme for Huge {
        fn is_well_formed(&self, _: &[u8]) -> bool {
            true
        }
        fn verify(&self, _: &[u8]) -> Result<Verified, Refusal> {
            Err(Refusal::Forged)
        }
        fn mint(&self, _: &SessionId, out: &mut String) {
            out.push_str(&"x".repeat(limits::MAX_COOKIE_PAIR));
        }
    }
    let mut w = World::with(|builder| builder.token_scheme(Huge));
    let done = w.request("", add(1));
    assert!(matches!(done.result(), Err(cloakroom_core::CommitError::Cookie(_))));
    assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, ""), "nothing is stored for no ticket");
}

#[test]
fn prefixes_and_names_of_engines_have_their_bounds() {
    let mut w = World::with(|builder| builder.key_prefix("app:").name("n".repeat(limits::MAX_ENGINE_NAME)));
    let jar = w.sign_in();
    assert_eq!(w.key(&jar).as_str().len(), "app:".len() + 22);
    let build = |prefix: &str, name: &str| Engine::builder(ring()).key_prefix(prefix).name(name).build().err();
    assert_eq!(build("", "main"), None);
    for prefix in ["a b", "é", "a\n", "\0", &"p".repeat(limits::MAX_STORE_KEY)] {
        assert!(matches!(build(prefix, "main"), Some(ConfigError::KeyPrefix(_))), "{prefix:?}");
    }
    assert_eq!(build("", &"n".repeat(limits::MAX_ENGINE_NAME + 1)), Some(ConfigError::Name));
    let long = "k".repeat(limits::MAX_STORE_KEY);
    assert!(StoreKey::new(&long).is_ok() && StoreKey::new(&format!("{long}k")).is_err());
}

#[test]
fn what_people_see_of_a_session_is_its_handle() {
    let mut w = World::with(|builder| builder.schema(7));
    let mut jar = w.sign_in();
    let mut handles = Vec::new();
    for _ in 0..2 {
        let shown = w.with_peeked(&jar, |loaded| (loaded.handle().unwrap(), loaded.schema(), loaded.created()));
        assert_eq!(shown, (w.key(&jar).handle(), Some(7), Some(w.now())));
        handles.push(shown.0);
        w.act(&mut jar, Loaded::rotate);
    }
    assert_ne!(handles[0], handles[1]);
    assert!(w.store.log.iter().all(|op: &Op| !op.key().as_str().contains(handles[0].as_str())));
}

#[test]
fn events_beyond_those_kept_are_counted() {
    let mut w = World::new();
    let mut done = w.request("", add(1));
    for _ in 0..20 {
        let mut session = done.reopen();
        w.access(&mut session).unwrap().destroy();
        let ended = w.commit(session);
        let mut session = ended.reopen();
        add(1)(w.access(&mut session).unwrap());
        done = w.commit(session);
    }
    assert!(ticket(&done).is_some());
    assert_eq!(done.events().iter().count(), limits::MAX_EVENTS);
    assert_eq!(done.events().iter().count() + done.events().overflow() as usize, 41);
}
