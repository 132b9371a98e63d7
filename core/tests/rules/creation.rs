//! A new session: one create, and a ticket only if it surely happened.

use std::{cell::Cell, time::Duration};

use cloakroom_core::{
    CommitError, CookieChange, Entropy, EntropyError, Event, Loaded, Op, Outcome, Step, StoreKey, UnixTime, Version,
};

use crate::common::{Fault, HOUR, MINUTE, NoEntropy, World, add, has, ticket};

#[test]
fn a_ticket_is_set_for_a_stored_record_only() {
    let mut w = World::new();
    let slow = w.slow("", add(1));
    let Step::Io(io) = w.start(slow) else { panic!("a new session is stored first") };
    let Op::Create { key, ttl, .. } = io.op().clone() else { panic!("not {:?}", io.op().kind()) };
    assert_eq!(ttl, 30 * MINUTE, "the idle time");
    let outcome = w.store.perform(io.op());
    let done = w.finish(io.resume(outcome, w.now()));
    assert_eq!(done.result(), Ok(()));
    assert!(has(&done, Event::Created));
    let jar = ticket(&done).expect("a ticket");
    assert_eq!(w.key(&jar), key);
    let record = w.record(&key);
    assert_eq!((record.created, record.issued), (w.now(), w.now()));
    assert_eq!(record.deadline, w.now().saturating_add(8 * HOUR));
    assert_eq!((record.predecessor, record.persistent), (None, false));
}

#[test]
fn a_create_that_failed_or_may_have_failed_sets_no_ticket() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let slow = w.slow("", add(1));
        w.store.fault(0, fault);
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{fault:?}");
        assert_eq!(done.cookie(), CookieChange::Keep, "{fault:?}");
        assert!(!has(&done, Event::Created));
        assert_eq!(w.ops(), "create");
    }
}

#[test]
fn an_id_that_exists_is_an_error_and_nothing_is_taken_over() {
    let mut w = World::new();
    let slow = w.slow("", add(1));
    let Step::Io(io) = w.start(slow) else { panic!("a new session is stored first") };
    let key: StoreKey = io.op().key().clone();
    w.put_text(&key, "somebody's", HOUR);
    let outcome = w.store.perform(io.op());
    assert_eq!(outcome, Outcome::Exists);
    let done = w.finish(io.resume(outcome, w.now()));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::IdCollision), CookieChange::Keep));
    assert_eq!(w.text(&key), "somebody's");
}

struct Broken;

impl Entropy for Broken {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(0);
        Err(EntropyError)
    }
}

#[test]
fn without_entropy_nothing_is_sent() {
    let mut w = World::new();
    let jar = w.sign_in();
    let rotate_and_add = |loaded: &mut Loaded| {
        loaded.rotate();
        add(1)(loaded);
    };
    let edits: [fn(&mut Loaded); 3] = [|loaded| add(1)(loaded), rotate_and_add, Loaded::destroy];
    for (cookie, edit) in [("", edits[0]), (&jar, edits[0]), (&jar, edits[1]), (&jar, edits[2])] {
        let slow = w.slow(cookie, edit);
        let Step::Done(done) = slow.commit(w.now(), &mut Broken) else { panic!("an operation without entropy") };
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Entropy), CookieChange::Keep));
    }
    assert_eq!(w.peek(&jar, "n"), Some(0));
}

#[test]
fn entropy_is_drawn_only_for_an_id_or_a_nonce() {
    /// Secret bytes, and those of nonces alone.
    struct Counting<'a>(&'a Cell<(usize, usize)>);
    impl Entropy for Counting<'_> {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            let (secret, nonces) = self.0.get();
            self.0.set((secret + bytes.len(), nonces));
            bytes.fill(secret as u8);
            Ok(())
        }

        fn fill_nonce(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            let (secret, nonces) = self.0.get();
            self.0.set((secret, nonces + bytes.len()));
            bytes.fill(nonces as u8);
            Ok(())
        }
    }
    let mut w = World::new();
    let jar = w.sign_in();
    let drawn = Cell::new((0, 0));
    for (edit, bytes) in [
        (&(|_: &mut Loaded| ()) as &dyn Fn(&mut Loaded), (0, 0)),
        (&|loaded: &mut Loaded| loaded.insert("n", &0).unwrap(), (0, 0)),
        (&|loaded: &mut Loaded| add(1)(loaded), (0, 8)),
        (&|loaded: &mut Loaded| loaded.rotate(), (24, 0)),
    ] {
        drawn.set((0, 0));
        let slow = w.slow(&jar, edit);
        // As a source that is borrowed, which must tell the two apart as well.
        let step = slow.commit(w.now(), &mut &mut Counting(&drawn));
        assert_eq!(w.finish(step).result(), Ok(()));
        assert_eq!(drawn.get(), bytes);
    }
    w.pass(7 * MINUTE);
    let slow = w.slow(&jar, |_| ());
    let step = slow.commit(w.now(), &mut NoEntropy);
    assert_eq!(w.finish(step).result(), Ok(()), "a touch draws nothing");
}

#[test]
fn run_does_all_operations() {
    let mut w = World::new();
    let slow = w.slow("", add(1));
    let step = w.start(slow);
    let now = w.now();
    let done = step.run(|op| w.store.perform(op), || now);
    assert_eq!(done.result(), Ok(()));
    assert!(w.opens(&ticket(&done).unwrap()));
}

#[test]
fn versions_are_handed_back_as_they_came() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.open(&jar);
    let cloakroom_core::Access::Load(load) = session.access() else { panic!("a ticket is loaded") };
    let mut found = w.store.look(load.key()).unwrap();
    found.version = Version::from_bytes(&b"any bytes"[..]);
    found.expires_in = Some(Duration::from_secs(60));
    let Ok(cloakroom_core::Access::Ready(loaded)) = load.supply(Some(found), UnixTime::from_millis(w.store.now)) else {
        panic!("a record opens")
    };
    add(1)(loaded);
    let Step::Io(io) = w.start(session) else { panic!("a change writes") };
    let Op::Replace { version, .. } = io.op() else { panic!("not {:?}", io.op().kind()) };
    assert_eq!(version.as_bytes(), Some(&b"any bytes"[..]));
    assert_eq!(version.as_u64(), None);
}
