//! Which operations a request asks for: exactly these, in this order.

use cloakroom_core::{CookieChange, Excess, Loaded, Login, Op, Which, limits};

use crate::common::{DAY, HOUR, MINUTE, SECOND, World, add, ticket};

#[track_caller]
fn assert_costs(w: &mut World, cookie: &str, edit: impl FnOnce(&mut Loaded), ops: &str) -> Option<String> {
    w.ops();
    let done = w.request(cookie, edit);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), ops);
    ticket(&done)
}

#[test]
fn a_new_session_costs_one_create() {
    let mut w = World::new();
    assert!(assert_costs(&mut w, "", add(1), "create").is_some());
    let many = |loaded: &mut Loaded| {
        for n in 0..50 {
            loaded.insert(&format!("key{n}"), &n).unwrap();
        }
    };
    assert!(assert_costs(&mut w, "a=b", many, "create").is_some());
}

#[test]
fn a_request_without_a_session_that_writes_nothing_costs_nothing() {
    let mut w = World::new();
    assert_costs(&mut w, "", |_| (), "");
    assert_costs(&mut w, "", |loaded| assert_eq!(loaded.get::<i64>("n"), Ok(None)), "");
    assert_costs(&mut w, "", |loaded| loaded.clear().unwrap(), "");
    assert_costs(&mut w, "", |loaded| assert_eq!(loaded.remove("n"), Ok(false)), "");
    assert_costs(&mut w, "", Loaded::rotate, "");
    assert_costs(&mut w, "", Loaded::destroy, "");
    let there_and_back = |loaded: &mut Loaded| {
        add(1)(loaded);
        loaded.remove("n").unwrap();
    };
    assert_costs(&mut w, "", there_and_back, "");
}

#[test]
fn a_read_costs_one_load() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_costs(&mut w, &jar, |loaded| assert_eq!(loaded.get("n"), Ok(Some(0))), "load");
}

#[test]
fn a_session_accessed_twice_is_loaded_once() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.open(&jar);
    for _ in 0..3 {
        assert_eq!(w.access(&mut session).unwrap().get("n"), Ok(Some(0)));
    }
    assert_eq!(w.commit(session).result(), Ok(()));
    assert_eq!(w.ops(), "load");
}

#[test]
fn a_change_costs_one_load_and_one_replace() {
    let mut w = World::new();
    let jar = w.sign_in();
    let many = |loaded: &mut Loaded| (0..50).for_each(|_| add(1)(loaded));
    assert_eq!(assert_costs(&mut w, &jar, many, "load,replace"), None);
    assert_eq!(assert_costs(&mut w, &jar, |loaded| loaded.clear().unwrap(), "load,replace"), None);
}

#[test]
fn equal_writes_cost_no_more_than_a_read() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_costs(&mut w, &jar, |loaded| loaded.insert("n", &0).unwrap(), "load");
    assert_costs(&mut w, &jar, add(0), "load");
    assert_costs(&mut w, &jar, |loaded| assert_eq!(loaded.remove("nothing"), Ok(false)), "load");
    let there_and_back = |loaded: &mut Loaded| {
        loaded.clear().unwrap();
        loaded.insert("m", &5).unwrap();
        loaded.insert("n", &0).unwrap();
        loaded.remove("m").unwrap();
    };
    assert_costs(&mut w, &jar, there_and_back, "load");
}

#[test]
fn a_renewal_costs_a_create_and_a_replace() {
    let mut w = World::new();
    let jar = w.sign_in();
    let rotate = |loaded: &mut Loaded| {
        loaded.rotate();
        add(1)(loaded);
    };
    let new = assert_costs(&mut w, &jar, rotate, "load,create,replace").expect("a ticket");
    assert_costs(&mut w, &jar, |_| (), "load,load");
    assert_costs(&mut w, &jar, add(1), "load,load,replace");
    assert_costs(&mut w, &new, |_| (), "load,load,replace,replace");
    assert_costs(&mut w, &new, |_| (), "load");
    assert_costs(&mut w, &new, add(1), "load,replace");
}

#[test]
fn the_first_presentation_adds_three_to_a_change() {
    let mut w = World::new();
    let jar = w.sign_in();
    let new = assert_costs(&mut w, &jar, Loaded::rotate, "load,create,replace").expect("a ticket");
    assert_costs(&mut w, &new, add(1), "load,replace,load,replace,replace");
}

#[test]
fn an_end_costs_a_load_and_a_replace() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_costs(&mut w, &jar, Loaded::destroy, "load,replace");
    assert_costs(&mut w, &jar, Loaded::destroy, "load");
    assert_costs(&mut w, &jar, |_| (), "load");
    assert!(assert_costs(&mut w, &jar, add(1), "load,create").is_some());
}

#[test]
fn an_end_followed_by_writes_costs_one_create_more() {
    let mut w = World::new();
    let jar = w.sign_in();
    let again = |loaded: &mut Loaded| {
        loaded.destroy();
        add(1)(loaded);
    };
    assert!(assert_costs(&mut w, &jar, again, "load,replace,create").is_some());
}

#[test]
fn a_touch_costs_one_operation_and_only_when_nothing_was_written() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.pass(7 * MINUTE);
    assert_eq!(assert_costs(&mut w, &jar, |_| (), "load,touch"), None);
    w.pass(7 * MINUTE);
    assert_eq!(assert_costs(&mut w, &jar, add(1), "load,replace"), None);
    assert_eq!(assert_costs(&mut w, &jar, |_| (), "load"), None);
}

#[test]
fn an_absent_or_expired_ticket_costs_its_load() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.pass(DAY);
    assert_eq!(assert_costs(&mut w, &jar, |loaded| assert!(loaded.is_new()), "load"), None);
    assert!(assert_costs(&mut w, &jar, add(1), "load,create").is_some());
}

#[test]
fn one_ticket_presented_twice_is_loaded_once() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_costs(&mut w, &format!("{jar}; a=b; {jar}"), |loaded| assert!(!loaded.is_new()), "load");
}

#[test]
fn a_shorter_lifetime_costs_one_replace() {
    let mut w = World::new();
    let jar = w.sign_in();
    let shorten = |loaded: &mut Loaded| {
        loaded.set_lifetime(cloakroom_core::Lifetime::new(MINUTE, 2 * MINUTE)).unwrap();
    };
    assert_eq!(assert_costs(&mut w, &jar, shorten, "load,replace"), None);
}

#[test]
fn a_login_adds_an_enrolment_and_costs_no_more_for_what_it_carries() {
    let mut w = World::new();
    let login = |loaded: &mut Loaded| loaded.login("ada", Login::new()).unwrap();
    assert_costs(&mut w, "", login, "create,enroll");
    let jar = w.sign_in();
    let carrying = |loaded: &mut Loaded| {
        add(1)(loaded);
        loaded.login("ada", Login::new().carry("n")).unwrap();
        add(1)(loaded);
    };
    let jar = assert_costs(&mut w, &jar, carrying, "load,create,enroll,replace").unwrap();
    assert_eq!(w.peek(&jar, "n"), Some(2));
    let jar = assert_costs(&mut w, &jar, login, "load,create,enroll,replace,unenroll").unwrap();
    let limited = |loaded: &mut Loaded| {
        loaded.login("ada", Login::new().at_most(2, Excess::Refuse)).unwrap();
    };
    assert_costs(&mut w, &jar, limited, "load,create,enroll,list,load,load,load,replace,unenroll");
}

#[test]
fn a_session_of_a_user_costs_more_only_where_its_key_changes() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    assert_costs(&mut w, &jar, |_| (), "load");
    assert_costs(&mut w, &jar, add(1), "load,replace");
    let jar = assert_costs(&mut w, &jar, Loaded::rotate, "load,create,enroll,replace,unenroll").unwrap();
    let elevate = |loaded: &mut Loaded| loaded.elevate().unwrap();
    let jar = assert_costs(&mut w, &jar, elevate, "load,create,enroll,replace,unenroll").unwrap();
    assert_costs(&mut w, &jar, Loaded::logout, "load,replace,unenroll");
}

#[test]
fn every_enrolment_lasts_as_long_as_the_session_can() {
    let mut w = World::new();
    let mut jar = String::new();
    w.act(&mut jar, |loaded| loaded.login("ada", Login::new()).unwrap());
    w.pass(10 * MINUTE);
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    let lasts = |op: &Op| if let Op::Enroll { ttl, .. } = op { Some(*ttl) } else { None };
    let found: Vec<_> = w.store.log.iter().filter_map(lasts).collect();
    let whole = 8 * HOUR + limits::DEFAULT_MAX_REQUEST + limits::DEFAULT_CLOCK_SKEW;
    assert_eq!(found, [whole, whole - 10 * MINUTE, whole], "a renewal does not move the deadline");
}

#[test]
fn every_write_is_conditional_and_bounded_in_time() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    let old = jar.clone();
    w.act(&mut jar, add(1));
    w.act(&mut jar, Loaded::rotate);
    w.pass(SECOND);
    w.act(&mut jar, |_| ());
    w.pass(10 * MINUTE);
    w.act(&mut jar, |_| ());
    let last = jar.clone();
    let done = w.visit(&mut jar, Loaded::destroy);
    assert_ne!(done.cookie(), CookieChange::Keep);
    w.act(&mut jar, |loaded| loaded.login("ada", Login::new()).unwrap());
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    w.act(&mut jar, |loaded| loaded.login("ada", Login::new()).unwrap());
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(1));
    for op in &w.store.log {
        match op {
            Op::Create { ttl, .. } | Op::Enroll { ttl, .. } | Op::Replace { ttl, .. } | Op::Touch { ttl, .. } => {
                assert!(!ttl.is_zero() && *ttl < 2 * DAY, "{op:?}");
            }
            Op::List { .. } | Op::Load { .. } | Op::Remove { .. } | Op::Unenroll { .. } => {}
        }
    }
    assert!(!w.opens(&old) && !w.opens(&last));
}
