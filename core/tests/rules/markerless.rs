//! A codec that can express neither pointer nor tombstone: an end and a renewal by conditional removals.

use cloakroom_core::{
    Codec, CommitError, CookieChange, DecodeError, EncodeError, End, Entry, JsonCodec, Loaded, Login, StoreKey, Value,
    Which,
};

use crate::common::{Fault, MINUTE, World, add, ticket};

#[derive(Debug)]
struct RecordsOnly;

impl Codec for RecordsOnly {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        match entry {
            Entry::Record(_) => JsonCodec.encode(key, entry),
            Entry::Ended(_) | Entry::Moved(_) => Err(EncodeError),
        }
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        JsonCodec.decode(key, value)
    }

    fn has_markers(&self) -> bool {
        false
    }
}

fn world() -> (World, String) {
    let mut w = World::with(|builder| builder.codec(RecordsOnly).renew_after(10 * MINUTE));
    let jar = w.sign_in();
    (w, jar)
}

#[test]
fn an_end_is_a_conditional_removal() {
    let (mut w, jar) = world();
    let done = w.request(&jar, Loaded::destroy);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
    assert_eq!(w.ops(), "load,remove");
    assert!(w.store.keys().is_empty());
}

#[test]
fn an_end_strikes_also_what_changed_meanwhile() {
    for brings in [true, false] {
        let (mut w, jar) = world();
        w.store.brings = brings;
        let slow = w.slow(&jar, Loaded::destroy);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
        assert_eq!(w.ops(), if brings { "remove,remove" } else { "remove,load,remove" });
        assert!(w.store.keys().is_empty());
    }
}

#[test]
fn an_end_of_a_record_that_vanished_is_not_acknowledged() {
    let (mut w, jar) = world();
    let slow = w.slow(&jar, Loaded::destroy);
    w.store.evict(&w.key(&jar));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end()), (Err(CommitError::Vanished), Some(End::Vanished)));
}

#[test]
fn an_unknown_removal_is_settled_or_not_acknowledged() {
    for fault in Fault::ALL {
        let (mut w, jar) = world();
        let slow = w.slow(&jar, Loaded::destroy);
        w.store.fault(0, fault);
        let done = w.commit(slow);
        w.store.land();
        if done.end() == Some(End::Ended) {
            assert!(!w.opens(&jar), "{fault:?}");
        } else {
            assert!(done.result().is_err(), "{fault:?}: somebody else may have renewed it");
        }
    }
}

#[test]
fn a_slow_change_across_an_end_is_lost() {
    let (mut w, jar) = world();
    let slow = w.slow(&jar, add(1));
    assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.store.keys().is_empty());
}

#[test]
fn a_renewal_creates_then_removes_the_old_record() {
    let (mut w, jar) = world();
    let done = w.request(&jar, |loaded| {
        loaded.rotate();
        add(1)(loaded);
    });
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,create,remove");
    let new = ticket(&done).expect("a ticket");
    assert_eq!((w.peek(&new, "n"), w.opens(&jar)), (Some(1), false));
    assert_eq!(w.store.keys().len(), 1);
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    w.ops();
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load", "there is no pointer to close");
}

#[test]
fn a_renewal_takes_along_what_others_wrote() {
    let (mut w, jar) = world();
    let slow = w.slow(&jar, |loaded| {
        loaded.rotate();
        add(1)(loaded);
    });
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(11));
    assert_eq!(w.store.keys().len(), 1);
}

#[test]
fn a_slow_renewal_across_an_end_leaves_nothing_that_a_ticket_opens() {
    for faults in [None, Some(Fault::UnknownApplied), Some(Fault::UnknownNever), Some(Fault::UnknownLater)] {
        let (mut w, jar) = world();
        let slow = w.slow(&jar, |loaded| {
            loaded.rotate();
            add(1)(loaded);
        });
        let ended = w.request(&jar, Loaded::destroy);
        assert_eq!(ended.end(), Some(End::Ended));
        if let Some(fault) = faults {
            w.store.fault(1, fault);
        }
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{faults:?}");
        assert_eq!(done.cookie(), CookieChange::Keep);
        w.store.land();
        assert!(!w.opens(&jar));
    }
}

#[test]
fn nothing_renews_by_itself_without_a_grace() {
    let (mut w, jar) = world();
    w.pass(11 * MINUTE);
    let done = w.request(&jar, |_| ());
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
}

#[test]
fn what_cannot_be_written_is_an_error_and_nothing_is_sent() {
    #[derive(Debug)]
    struct Mute;
    impl Codec for Mute {
        fn encode(&self, _: &StoreKey, _: &Entry) -> Result<Vec<u8>, EncodeError> {
            Err(EncodeError)
        }
        fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
            JsonCodec.decode(key, value)
        }
    }
    let (w, jar) = world();
    let mut mute = World::with(|builder| builder.codec(Mute));
    mute.store = w.store;
    for edit in [add as fn(i64) -> _, add] {
        mute.ops();
        let done = mute.request(&jar, edit(1));
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Encode), CookieChange::Keep));
        let done = mute.request("", edit(1));
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Encode), CookieChange::Keep));
        let done = mute.request(&jar, Loaded::destroy);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Encode), CookieChange::Keep));
        assert_eq!(mute.ops(), "load,load");
    }
}

#[test]
fn a_login_and_an_elevation_remove_the_old_record_before_the_ticket_is_set() {
    let edits: [fn(&mut Loaded); 2] =
        [|loaded| loaded.login("ada", Login::new().carry("n")).unwrap(), |loaded| loaded.elevate().unwrap()];
    for edit in edits {
        for meanwhile in [0, 10] {
            let (mut w, _) = world();
            let old = w.session_of("ada");
            let slow = w.slow(&old, edit);
            if meanwhile > 0 {
                assert_eq!(w.request(&old, add(meanwhile)).result(), Ok(()));
            }
            w.ops();
            let done = w.commit(slow);
            assert_eq!(done.result(), Ok(()));
            let again = if meanwhile > 0 { "remove,replace,remove" } else { "remove" };
            assert_eq!(w.ops(), format!("create,enroll,{again},unenroll"));
            let new = ticket(&done).unwrap();
            assert_eq!((w.peek(&new, "n"), w.opens(&old)), (Some(meanwhile), false));
            assert!(w.record(&w.key(&new)).predecessor.is_none());
        }
    }
}

#[test]
fn of_two_elevations_one_is_lost() {
    let (mut w, _) = world();
    let old = w.session_of("ada");
    let elevate = |loaded: &mut Loaded| loaded.elevate().unwrap();
    let (first, second) = (w.slow(&old, elevate), w.slow(&old, elevate));
    let first = w.commit(first);
    assert_eq!(first.result(), Ok(()));
    let second = w.commit(second);
    assert_eq!((second.result(), second.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert_eq!(w.members("ada"), [w.key(&ticket(&first).unwrap())]);
}

#[test]
fn the_sessions_of_a_user_are_listed_and_ended() {
    let (mut w, _) = world();
    let jars = [w.session_of("ada"), w.session_of("ada")];
    assert_eq!(w.list("ada", &jars[0]).unwrap().len(), 2);
    assert_eq!(w.end_many("ada", Which::Others, &jars[0]), Ok(1));
    assert!(w.opens(&jars[0]) && !w.opens(&jars[1]));
    assert_eq!(w.members("ada"), [w.key(&jars[0])]);
}
