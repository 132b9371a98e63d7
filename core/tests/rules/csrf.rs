//! Tokens that show that a form came from a page of ours.

use cloakroom_core::{CommitError, CookieChange, EditError, Engine, Keyring, Loaded, Login};

use crate::common::{NoEntropy, Seeded, World, add, key, ring, ticket};

fn token(w: &mut World, jar: &str) -> String {
    let mut token = String::new();
    let mut entropy = Seeded(w.entropy.next());
    assert_eq!(w.request(jar, |loaded| token = loaded.csrf_token(&mut entropy).unwrap()).result(), Ok(()));
    token
}

fn is_valid(w: &mut World, jar: &str, token: &str) -> bool {
    let mut is_valid = false;
    let session = w.slow(jar, |loaded| is_valid = loaded.is_csrf_token(token.as_bytes()));
    drop(session);
    is_valid
}

#[test]
fn every_token_of_a_session_differs_and_all_are_good_for_it() {
    let mut w = World::new();
    let (jar, other) = (w.sign_in(), w.sign_in());
    let tokens: Vec<String> = (0..8).map(|_| token(&mut w, &jar)).collect();
    assert_eq!(w.ops(), "load".repeat(8).replace("dl", "d,l"), "nothing is stored for them");
    for (index, one) in tokens.iter().enumerate() {
        assert_eq!(one.len(), 44);
        assert!(tokens[..index].iter().all(|earlier| earlier[2..] != one[2..]));
        assert!(is_valid(&mut w, &jar, one) && !is_valid(&mut w, &other, one) && !is_valid(&mut w, "", one));
    }
}

#[test]
fn no_bit_of_a_token_may_differ() {
    let mut w = World::new();
    let jar = w.sign_in();
    let good = token(&mut w, &jar);
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let mut refused = true;
            let session = w.slow(&jar, |loaded| refused = !loaded.is_csrf_token(&bytes));
            drop(session);
            assert!(refused, "bit {bit} of {place}");
        }
    }
    for wrong in ["", "AAAA", &good[..43], &format!("{good}="), &format!("{good}A"), &"A".repeat(44)] {
        assert!(!is_valid(&mut w, &jar, wrong), "{wrong}");
    }
}

#[test]
fn a_page_for_a_visitor_without_a_session_makes_one() {
    let mut w = World::new();
    let (mut first, mut second) = (String::new(), String::new());
    let mut entropy = Seeded(5);
    let done = w.request("", |loaded| {
        first = loaded.csrf_token(&mut entropy).unwrap();
        second = loaded.csrf_token(&mut entropy).unwrap();
        assert!(!loaded.is_csrf_token(first.as_bytes()), "nobody has it yet");
    });
    assert_eq!(w.ops(), "create");
    let jar = ticket(&done).unwrap();
    assert!(is_valid(&mut w, &jar, &first) && is_valid(&mut w, &jar, &second));
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    assert!(is_valid(&mut w, &jar, &first), "changes leave it");
}

#[test]
fn a_page_that_failed_makes_none() {
    let mut w = World::new();
    let mut entropy = Seeded(5);
    let mut session = w.slow("", |loaded| drop(loaded.csrf_token(&mut entropy).unwrap()));
    session.drop_edits();
    let done = w.commit(session);
    assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, ""));
}

#[test]
fn it_goes_with_renewals_and_elevations_and_not_beyond_a_login_or_an_end() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    let mine = token(&mut w, &jar);
    w.act(&mut jar, Loaded::rotate);
    assert!(is_valid(&mut w, &jar, &mine));
    let mut promised = String::new();
    let mut entropy = Seeded(5);
    w.act(&mut jar, |loaded| {
        loaded.login("alice", Login::new()).unwrap();
        assert!(!loaded.is_csrf_token(mine.as_bytes()));
        promised = loaded.csrf_token(&mut entropy).unwrap();
    });
    assert!(!is_valid(&mut w, &jar, &mine) && is_valid(&mut w, &jar, &promised));
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    assert!(is_valid(&mut w, &jar, &promised));
    w.act(&mut jar, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert!(!is_valid(&mut w, &jar, &promised));
}

#[test]
fn it_is_of_one_engine_and_one_ring() {
    let mut w = World::new();
    let jar = w.sign_in();
    let good = token(&mut w, &jar);
    let text = w.text(&w.key(&jar));
    let rotated = || Keyring::new(key(2)).accept(key(1)).unwrap();
    w.engine = Engine::new(rotated());
    assert!(is_valid(&mut w, &jar, &good), "an accepted key's tokens go on");
    let newer = token(&mut w, &jar);
    w.engine = Engine::new(ring());
    assert!(!is_valid(&mut w, &jar, &newer), "a key that is not in the ring");
    let mut other = World::with(|builder| builder.name("admin"));
    let jar = other.sign_in();
    other.put_text(&other.key(&jar), &text, 10 * crate::common::MINUTE);
    assert!(other.opens(&jar) && !is_valid(&mut other, &jar, &good), "the same record in another engine");
}

#[test]
fn without_randomness_there_is_none() {
    struct Broken;
    impl cloakroom_core::Entropy for Broken {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), cloakroom_core::EntropyError> {
            Err(cloakroom_core::EntropyError)
        }
    }
    let mut w = World::new();
    let jar = w.sign_in();
    for cookie in ["", &jar] {
        let session = w.slow(cookie, |loaded| assert_eq!(loaded.csrf_token(&mut Broken), Err(EditError::Entropy)));
        let done = w.commit(session);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    }
    let session = w.slow(&jar, |loaded| assert!(!loaded.is_csrf_token(b"x")));
    let _ = session.commit(w.now(), &mut NoEntropy);
}

/// Makes a ticket that opens nothing.
type Ticket = fn(&mut World) -> String;

#[test]
fn where_no_session_may_be_made_the_page_is_shown_all_the_same() {
    let stale: Ticket = |w| {
        let old = w.sign_in();
        let mut jar = old.clone();
        w.act(&mut jar, Loaded::rotate);
        w.act(&mut jar, |_| ());
        w.pass(cloakroom_core::limits::DEFAULT_GRACE);
        old
    };
    let superseded: Ticket = |w| {
        let old = w.sign_in();
        w.act(&mut old.clone(), |loaded| loaded.login("alice", Login::new()).unwrap());
        old
    };
    let ambiguous: Ticket = |w| format!("{}; {}", w.sign_in(), w.sign_in());
    for (name, ticket, error) in [
        ("stale", stale, CommitError::Lost),
        ("superseded", superseded, CommitError::Lost),
        ("ambiguous", ambiguous, CommitError::Ambiguous),
    ] {
        let mut w = World::new();
        let jar = ticket(&mut w);
        let mut entropy = Seeded(5);
        w.ops();
        let done = w.request(&jar, |loaded| drop(loaded.csrf_token(&mut entropy).unwrap()));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{name}");
        assert!(!w.ops().contains("create"), "{name}");
        let done = w.request(&jar, |loaded| {
            drop(loaded.csrf_token(&mut entropy).unwrap());
            add(1)(loaded);
        });
        assert_eq!((done.result(), done.cookie()), (Err(error), CookieChange::Keep), "{name}");
    }
}

#[test]
fn a_token_from_before_a_login_or_an_end_in_the_same_request_is_worth_nothing() {
    let acts: [fn(&mut Loaded); 2] = [
        |loaded| loaded.login("alice", Login::new()).unwrap(),
        |loaded| {
            loaded.destroy();
            add(1)(loaded);
        },
    ];
    for act in acts {
        let mut w = World::new();
        let mut before = String::new();
        let mut entropy = Seeded(5);
        let done = w.request("", |loaded| {
            before = loaded.csrf_token(&mut entropy).unwrap();
            act(loaded);
        });
        assert!(!is_valid(&mut w, &ticket(&done).unwrap(), &before));
    }
}
