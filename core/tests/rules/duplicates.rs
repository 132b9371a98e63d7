//! Several tickets in one request: one live lineage is used, several are refused together.

use cloakroom_core::{Access, CommitError, CookieChange, Event, Loaded, limits};

use crate::common::{SECOND, World, add, has, ticket};

fn forged(n: usize) -> String {
    format!("__Host-id=AQ{}{n:04}", "A".repeat(38))
}

fn both(a: &str, b: &str) -> [String; 2] {
    [format!("{a}; {b}"), format!("{b}; x=y; {a}")]
}

#[test]
fn tickets_of_one_lineage_are_one_session() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    for (n, cookie) in (1..).zip(both(&old, &new)) {
        let done = w.request(&cookie, add(1));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert!(!has(&done, Event::Ambiguous));
        assert_eq!(w.peek(&new, "n"), Some(n));
    }
    w.pass(limits::DEFAULT_GRACE + SECOND);
    for cookie in both(&old, &new) {
        assert_eq!(w.request(&cookie, add(1)).result(), Ok(()), "a closed pointer beside the live ticket");
    }
    assert_eq!(w.peek(&new, "n"), Some(4));
}

#[test]
fn of_two_tickets_of_one_record_the_one_that_leads_to_it_directly_counts_as_presented() {
    for order in 0..2 {
        let mut w = World::new();
        let old = w.sign_in();
        let mut new = old.clone();
        w.act(&mut new, Loaded::rotate);
        assert_eq!(w.request(&both(&old, &new)[order], |_| ()).result(), Ok(()));
        assert_eq!(w.record(&w.key(&new)).predecessor, None);
        w.pass(limits::DEFAULT_GRACE + SECOND);
        assert!(!w.opens(&old) && w.opens(&new), "the pointer closed");
    }
}

#[test]
fn two_live_sessions_are_none() {
    let mut w = World::new();
    let (a, b) = (w.sign_in(), w.sign_in());
    for cookie in both(&a, &b) {
        w.ops();
        let done = w.request(&cookie, |loaded| {
            assert!(loaded.is_new());
            assert_eq!(loaded.get::<i64>("n"), Ok(None));
        });
        assert!(has(&done, Event::Ambiguous));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert_eq!(w.ops(), "load,load");
        for edit in [|loaded: &mut Loaded| add(1)(loaded), Loaded::destroy as fn(&mut Loaded), Loaded::rotate] {
            let done = w.request(&cookie, edit);
            assert_eq!((done.result(), done.cookie()), (Err(CommitError::Ambiguous), CookieChange::Keep));
            assert_eq!(w.ops(), "load,load");
        }
    }
    assert_eq!((w.peek(&a, "n"), w.peek(&b, "n")), (Some(0), Some(0)));
}

#[test]
fn a_dead_ticket_beside_a_live_one_does_not_matter() {
    let mut w = World::new();
    let live = w.sign_in();
    let mut ended = w.sign_in();
    let ended_ticket = ended.clone();
    w.act(&mut ended, Loaded::destroy);
    let evicted = w.sign_in();
    w.store.evict(&w.key(&evicted));
    for dead in [&ended_ticket, &evicted, &forged(1), &"__Host-id=junk".to_owned(), &"__Host-id=".to_owned()] {
        let before = w.peek(&live, "n").unwrap();
        for cookie in both(&live, dead) {
            let done = w.request(&cookie, add(1));
            assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{cookie}");
        }
        assert_eq!(w.peek(&live, "n"), Some(before + 2));
    }
    for cookie in both(&live, &ended_ticket) {
        let done = w.request(&cookie, |loaded| assert!(!loaded.is_new()));
        assert!(!has(&done, Event::Ambiguous));
    }
}

#[test]
fn of_dead_tickets_alone_a_write_makes_a_new_session() {
    let mut w = World::new();
    let (a, b) = (w.sign_in(), w.sign_in());
    w.store.evict(&w.key(&a));
    w.store.evict(&w.key(&b));
    w.ops();
    let done = w.request(&format!("{a}; {b}"), add(1));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,load,create");
    assert!(ticket(&done).is_some());
}

#[test]
fn an_end_with_two_tickets_of_one_lineage_ends_it() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    let done = w.request(&format!("{old}; {new}"), Loaded::destroy);
    assert_eq!((done.result(), done.cookie().name()), (Ok(()), "clear"));
    assert!(!w.opens(&old) && !w.opens(&new));
}

#[test]
fn four_tickets_are_loaded_and_five_are_refused_unloaded_or_not() {
    let mut w = World::new();
    let mut jars: Vec<String> = (0..5).map(|_| w.sign_in()).collect();
    for dead in &jars[1..] {
        w.store.evict(&w.key(dead));
    }
    w.ops();
    let done = w.request(&jars[..4].join("; "), |loaded| assert!(!loaded.is_new()));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,load,load,load");
    let live = w.key(&jars[0]);
    for _ in 0..jars.len() {
        let done = w.request(&jars.join("; "), |loaded| {
            assert!(loaded.is_new(), "which of them live is not known");
            add(1)(loaded);
        });
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Ambiguous), CookieChange::Keep));
        assert!(w.ops().split(',').count() <= limits::MAX_TICKETS, "and nothing but loads");
        assert_eq!(w.live().as_slice(), std::slice::from_ref(&live));
        jars.rotate_left(1);
    }
}

#[test]
fn a_planted_session_does_not_hide_the_visitors_behind_tokens_that_are_not_checked() {
    let mut w = World::new();
    let (planted, visitors) = (w.sign_in(), w.sign_in());
    let forged: Vec<String> = (0..limits::MAX_TAGS_CHECKED).map(forged).collect();
    let done = w.request(&format!("{planted}; {}; {visitors}", forged.join("; ")), |loaded| {
        assert!(loaded.is_new(), "two live sessions are none, also when only one was read");
    });
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn only_well_formed_tokens_count_against_the_cap() {
    let mut w = World::new();
    let live = w.sign_in();
    let junk: Vec<String> = (0..200).map(|n| format!("__Host-id=junk{n}")).collect();
    let done = w.request(&format!("{}; {live}", junk.join("; ")), add(1));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&live, "n"), Some(1));
    let seven: Vec<String> = (0..limits::MAX_TAGS_CHECKED - 1).map(forged).collect();
    for cookie in both(&live, &seven.join("; ")) {
        let done = w.request(&cookie, add(1));
        assert_eq!(done.result(), Ok(()));
        assert_eq!(done.events().iter().filter(|event| *event == Event::ForgedToken).count(), 7);
    }
    assert_eq!(w.peek(&live, "n"), Some(3));
}

#[test]
fn one_token_many_times_counts_once() {
    let mut w = World::new();
    let live = w.sign_in();
    let done = w.request(&[live.as_str(); 100].join(";"), add(1));
    assert_eq!(done.result(), Ok(()));
    assert!(!has(&done, Event::HeaderCapped));
    assert_eq!(w.peek(&live, "n"), Some(1));
}

#[test]
fn tokens_that_come_again_behind_others_count_once() {
    let mut w = World::new();
    let live = w.sign_in();
    let mut tokens: Vec<String> = (0..limits::MAX_TAGS_CHECKED - 1).map(forged).collect();
    tokens.push(live.clone());
    for _ in 0..tokens.len() {
        let done = w.request(&[tokens.join("; "), tokens.join("; ")].join("; "), add(1));
        assert_eq!(done.result(), Ok(()));
        assert!(!has(&done, Event::HeaderCapped));
        assert_eq!(done.events().iter().filter(|event| *event == Event::ForgedToken).count(), tokens.len() - 1);
        tokens.rotate_left(1);
    }
    assert_eq!(w.peek(&live, "n"), Some(tokens.len() as i64));
}

#[test]
fn more_tokens_than_are_checked_set_no_cookie_over_one_that_was_not_read() {
    let mut w = World::new();
    let live = w.sign_in();
    let nine: Vec<String> = (0..limits::MAX_TAGS_CHECKED + 1).map(forged).collect();
    for cookie in both(&nine.join("; "), &live) {
        let done = w.request(&cookie, add(1));
        assert!(has(&done, Event::HeaderCapped));
        assert_eq!(done.cookie(), CookieChange::Keep);
        let wrote = done.result() == Ok(());
        assert!(!wrote || w.peek(&live, "n") == Some(1), "{:?}", done.result());
    }
    assert_eq!(w.live(), [w.key(&live)]);
}

#[test]
fn a_header_longer_than_is_read_sets_no_cookie_over_one_that_was_not_read() {
    for junk in ["a=1;".repeat(limits::MAX_COOKIE_PAIRS), "a".repeat(limits::MAX_COOKIE_HEADER_BYTES)] {
        let mut w = World::new();
        let live = w.sign_in();
        let done = w.request(&format!("{junk}; {live}"), add(1));
        assert!(has(&done, Event::HeaderCapped));
        assert_eq!(done.cookie(), CookieChange::Keep, "{:?}", done.result());
        assert_eq!(w.live(), [w.key(&live)]);
        assert_eq!(w.peek(&live, "n"), Some(0));
        let done = w.request(&format!("{live}; {}", "a=1;".repeat(limits::MAX_COOKIE_PAIRS)), add(1));
        assert_eq!(done.result(), Ok(()), "junk after ours does not disturb");
    }
}

#[test]
fn a_record_and_what_it_was_renewed_to_between_two_loads_are_one_session() {
    let mut w = World::new();
    let old = w.sign_in();
    let before = w.store.look(&w.key(&old)).unwrap();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    let keys = [w.key(&old), w.key(&new)];
    for cookie in both(&old, &new) {
        let mut session = w.open(&cookie);
        let mut access = session.access();
        let loaded = loop {
            match access {
                Access::Ready(loaded) => break loaded,
                Access::Load(load) => {
                    let found = if load.key() == &keys[0] { before.clone() } else { w.store.look(load.key()).unwrap() };
                    access = load.supply(Some(found), w.now()).unwrap();
                }
            }
        };
        assert_eq!((loaded.is_new(), loaded.handle()), (false, Some(keys[1].handle())));
    }
}
