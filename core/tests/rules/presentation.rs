//! Pointers: open until the successor's ticket was first presented, then for the grace.

use cloakroom_core::{
    CommitError, CookieChange, End, EndCause, Ended, Entry, Event, Lifetime, Loaded, Moved, Nonce, Record, SessionId,
    StoreKey, UnixTime, limits,
};

use crate::common::{Fault, HOUR, MINUTE, SECOND, World, add, has, ticket};

fn closes_at(w: &World, key: &StoreKey) -> Option<UnixTime> {
    match w.entry(key) {
        Some(Entry::Moved(moved)) => moved.closes_at,
        other => panic!("no pointer but {other:?}"),
    }
}

/// An old and a new ticket of one session, the new one not presented yet.
fn renewed() -> (World, String, String) {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    w.ops();
    (w, old, new)
}

#[test]
fn a_lost_response_logs_nobody_out() {
    let (mut w, mut old, _) = renewed();
    for _ in 0..18 {
        w.pass(25 * MINUTE);
        w.act(&mut old, add(1));
    }
    assert_eq!(w.peek(&old, "n"), Some(18), "after seven and a half hours");
}

#[test]
fn the_first_presentation_closes_the_pointer_after_the_grace() {
    let (mut w, old, new) = renewed();
    let done = w.request(&new, |_| ());
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load,load,replace,replace");
    assert_eq!(closes_at(&w, &w.key(&old)), Some(w.now().saturating_add(limits::DEFAULT_GRACE)));
    assert_eq!(w.record(&w.key(&new)).predecessor, None);
    w.pass(limits::DEFAULT_GRACE - SECOND);
    assert!(w.opens(&old), "within the grace");
    w.pass(2 * SECOND);
    assert!(!w.opens(&old));
    assert!(w.opens(&new));
}

#[test]
fn the_second_presentation_costs_nothing_more() {
    let (mut w, _, new) = renewed();
    assert_eq!(w.request(&new, add(1)).result(), Ok(()));
    assert_eq!(w.ops(), "load,replace,load,replace,replace", "the main flow goes first");
    assert_eq!(w.request(&new, add(1)).result(), Ok(()));
    assert_eq!(w.ops(), "load,replace");
    assert_eq!(w.peek(&new, "n"), Some(2));
}

#[test]
fn an_old_ticket_presented_after_the_grace_is_reuse_and_writes_nothing() {
    let (mut w, old, new) = renewed();
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    w.pass(limits::DEFAULT_GRACE + SECOND);
    w.ops();
    let done = w.request(&old, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::ReusedRenewed));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load");
    assert!(w.opens(&new));
}

#[test]
fn an_end_with_a_ticket_renewed_away_long_ago_is_not_acknowledged_as_one() {
    let (mut w, old, new) = renewed();
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    w.pass(limits::DEFAULT_GRACE + SECOND);
    w.ops();
    let done = w.request(&old, Loaded::destroy);
    assert_eq!((done.result(), done.end()), (Err(CommitError::StaleTicket), Some(End::Failed)));
    assert_eq!(done.cookie(), CookieChange::Keep, "the jar may hold the newer ticket");
    assert_eq!(w.ops(), "load");
    assert!(w.opens(&new));
}

#[test]
fn the_old_ticket_does_not_present_its_successor() {
    let (mut w, old, _) = renewed();
    assert_eq!(w.request(&old, add(1)).result(), Ok(()));
    assert_eq!(w.ops(), "load,load,replace");
    assert_eq!(closes_at(&w, &w.key(&old)), None);
}

#[test]
fn a_set_closing_time_never_moves() {
    let (mut w, old, new) = renewed();
    let slow = w.slow(&new, |_| ());
    w.store.fault(2, Fault::Failed);
    assert_eq!(w.commit(slow).result(), Ok(()));
    let set = closes_at(&w, &w.key(&old));
    assert!(set.is_some());
    assert!(w.record(&w.key(&new)).predecessor.is_some(), "not cleared yet");
    w.pass(30 * SECOND);
    w.ops();
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load,load,replace");
    assert_eq!(closes_at(&w, &w.key(&old)), set);
    assert_eq!(w.record(&w.key(&new)).predecessor, None);
}

#[test]
fn failures_of_the_first_presentation_are_ignored_and_repeated_next_time() {
    for at in 0..3 {
        for fault in Fault::ALL.into_iter().chain([Fault::Conflict]) {
            if at == 0 && fault == Fault::Conflict {
                continue;
            }
            let (mut w, old, new) = renewed();
            let slow = w.slow(&new, |_| ());
            w.store.fault(at, fault);
            let done = w.commit(slow);
            let case = format!("{fault:?} at {at}");
            assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{case}");
            assert!(
                w.record(&w.key(&new)).predecessor.is_some() || closes_at(&w, &w.key(&old)).is_some(),
                "an open pointer that nobody will close: {case}"
            );
            w.store.land();
            assert!(w.opens(&old) && w.opens(&new), "{case}");
            assert_eq!(w.request(&new, |_| ()).result(), Ok(()), "{case}");
            assert!(closes_at(&w, &w.key(&old)).is_some(), "{case}");
            assert_eq!(w.record(&w.key(&new)).predecessor, None, "{case}");
        }
    }
}

#[test]
fn a_failed_main_flow_still_has_its_result() {
    let (mut w, _, new) = renewed();
    let slow = w.slow(&new, add(1));
    w.store.fault(0, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Store));
    assert_eq!(w.peek(&new, "n"), Some(0));
}

#[test]
fn clearing_the_predecessor_never_overwrites_a_change_made_meanwhile() {
    let (mut w, _, new) = renewed();
    let first = w.slow(&new, |_| ());
    let step = w.start(first);
    let step = w.resume(step);
    let step = w.resume(step);
    assert_eq!(w.request(&new, add(5)).result(), Ok(()));
    w.ops();
    assert_eq!(w.finish(step).result(), Ok(()));
    assert_eq!(w.ops(), "replace", "not replayed");
    assert_eq!(w.peek(&new, "n"), Some(5));
}

#[test]
fn a_predecessor_that_became_something_else_is_left_alone() {
    let (mut w, old, new) = renewed();
    let elsewhere = StoreKey::new("elsewhere").unwrap();
    let moved = Moved { to: elsewhere, closes_at: None, unknown: Default::default() };
    w.put(&w.key(&old), &Entry::Moved(moved), HOUR);
    let before = w.text(&w.key(&old));
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    assert_eq!(w.text(&w.key(&old)), before);
    assert!(w.opens(&new));
}

#[test]
fn a_predecessor_that_ended_or_vanished_is_forgotten() {
    for ends in [true, false] {
        let (mut w, old, new) = renewed();
        let (by, at) = (Nonce::from_bytes([9; 8]), w.now());
        match ends {
            true => w.put(&w.key(&old), &Entry::Ended(Ended { by, cause: EndCause::Destroy, at, next: None }), HOUR),
            false => w.store.evict(&w.key(&old)),
        }
        let before = w.store.look(&w.key(&old));
        assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
        assert_eq!(w.ops(), "load,load,replace", "ended: {ends}");
        assert_eq!(w.record(&w.key(&new)).predecessor, None);
        assert_eq!(w.store.look(&w.key(&old)), before, "and left alone");
    }
}

#[test]
fn markers_outlive_every_admitted_request() {
    let least = limits::DEFAULT_MAX_REQUEST + limits::DEFAULT_CLOCK_SKEW;
    let (mut w, old, mut new) = renewed();
    let ttl = |w: &World, jar: &str| w.store.look(&w.key(jar)).unwrap().expires_in.unwrap();
    assert!(ttl(&w, &old) >= 8 * HOUR, "open for the rest of the absolute lifetime");
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    assert!(ttl(&w, &old) >= least, "closed");
    let jar = new.clone();
    w.act(&mut new, Loaded::destroy);
    assert!(ttl(&w, &jar) >= least, "a tombstone");

    let mut w = World::with(|builder| builder.grace(2 * HOUR));
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    w.act(&mut new, |_| ());
    assert!(ttl(&w, &old) >= 2 * HOUR, "closed, for at least the grace");
    let mut w = World::with(|builder| builder.lifetime(Lifetime::new(MINUTE, MINUTE)));
    let mut jar = w.sign_in();
    let old = jar.clone();
    w.act(&mut jar, Loaded::rotate);
    assert!(ttl(&w, &old) >= least, "longer than the session itself");
}

#[test]
fn a_renewed_ticket_works_however_often_its_responses_are_lost() {
    let mut w = World::new();
    let old = w.sign_in();
    for n in 0..12 {
        let done = w.request(&old, |loaded| {
            loaded.rotate();
            loaded.insert("n", &n).unwrap();
        });
        assert_eq!(done.result(), Ok(()), "{n}");
        assert_eq!(w.peek(&old, "n"), Some(n));
        if let Some(new) = ticket(&done) {
            assert_eq!(w.peek(&new, "n"), Some(n));
        }
    }
}

fn chain(w: &mut World, first: StoreKey, hops: u32) {
    let mut at = first;
    for hop in 0..hops {
        let to = StoreKey::new(&format!("hop{hop}")).unwrap();
        w.put(&at, &Entry::Moved(Moved { to: to.clone(), closes_at: None, unknown: Default::default() }), HOUR);
        at = to;
    }
    let record = Record::new(w.now(), Lifetime::default());
    w.put(&at, &Entry::Record(Box::new(record)), 30 * MINUTE);
}

#[test]
fn eight_pointers_are_followed_and_no_more() {
    for hops in [8, 9, 20] {
        let mut w = World::new();
        let jar = w.sign_in();
        let first = w.key(&jar);
        chain(&mut w, first, hops);
        w.ops();
        let done = w.request(&jar, |loaded| assert_eq!(loaded.is_new(), hops > 8));
        assert_eq!(has(&done, Event::TooManyHops), hops > 8);
        assert_eq!(done.cookie(), CookieChange::Keep);
        assert_eq!(w.ops(), ["load"; 9].join(","));
    }
}

#[test]
fn a_commit_follows_nine_pointers_that_came_meanwhile_and_no_more() {
    for edit in [|loaded: &mut Loaded| add(1)(loaded), Loaded::destroy as fn(&mut Loaded)] {
        for hops in [1, 9, 10, 20] {
            let mut w = World::new();
            let jar = w.sign_in();
            let slow = w.slow(&jar, edit);
            let first = w.key(&jar);
            chain(&mut w, first, hops);
            let done = w.commit(slow);
            let result = if hops > 9 { Err(CommitError::Contention) } else { Ok(()) };
            assert_eq!(done.result(), result, "{hops}");
            assert_eq!(has(&done, Event::TooManyHops), hops > 9, "{hops}");
        }
    }
}

#[test]
fn pointers_in_a_circle_end_somewhere() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    let (first, other) = (w.key(&jar), StoreKey::new("other").unwrap());
    for (from, to) in [(&first, &other), (&other, &first)] {
        let moved = Moved { to: to.clone(), closes_at: None, unknown: Default::default() };
        w.put(from, &Entry::Moved(moved), HOUR);
    }
    let done = w.request(&jar, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::TooManyHops));
    let done = w.commit(slow);
    assert!(done.result().is_err(), "and in a commit");
    assert!(w.store.log.len() < 64);
}

#[test]
fn a_pointer_that_leads_nowhere_opens_nothing() {
    let (mut w, old, new) = renewed();
    w.store.evict(&w.key(&new));
    w.ops();
    let done = w.request(&old, |loaded| assert!(loaded.is_new()));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load,load");
}

#[test]
fn ids_and_nonces_have_their_sizes() {
    assert!(SessionId::from_bytes(&[]).is_none(), "never empty");
    assert!(SessionId::from_bytes(&[0; limits::MAX_SESSION_ID + 1]).is_none());
    let nonce = Nonce::from_bytes([1, 2, 3, 4, 5, 6, 7, 255]);
    assert_eq!(Nonce::from_text(&nonce.to_string()), Some(nonce));
    assert_eq!(Nonce::from_text("short"), None);
}

#[test]
fn a_predecessor_that_leads_elsewhere_is_left_alone() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    let Some(Entry::Moved(mut moved)) = w.entry(&w.key(&old)) else { panic!("no pointer") };
    moved.to = StoreKey::new("elsewhere").unwrap();
    w.put(&w.key(&old), &Entry::Moved(moved), HOUR);
    w.ops();
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load,load");
    assert_eq!(w.record(&w.key(&new)).predecessor, Some(w.key(&old)));
}

#[test]
fn a_session_that_vanishes_or_runs_out_between_two_commits_of_a_request_is_lost() {
    for vanishes in [true, false] {
        let (mut w, _, new) = renewed();
        let slow = w.slow(&new, add(1));
        w.store.fault(3, Fault::Failed);
        let done = w.commit(slow);
        assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load,replace,load,replace,replace"));
        let mut session = done.reopen();
        let key = w.key(&new);
        if vanishes {
            w.store.evict(&key);
        } else {
            let record = w.record(&key);
            w.put(&key, &Entry::Record(Box::new(record)), 40 * MINUTE);
        }
        w.ops();
        add(1)(w.access(&mut session).unwrap());
        let done = w.commit(session);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
        assert_eq!(w.ops(), "load");
    }
}
