//! Pointers and tombstones with a broken field: they may lead to a live session, so that nothing is written over them.

use cloakroom_core::{CommitError, CookieChange, DecodeError, Done, End, LoadError, Loaded, Op, Session};

use crate::common::{HOUR, World, add};

/// Texts under the old key of a session that lives on under `to`.
fn damaged(to: &str) -> Vec<String> {
    let moved = |fields: &str| format!(r#"{{"format":1,"kind":"moved"{fields}}}"#);
    let ended = |fields: &str| format!(r#"{{"format":1,"kind":"ended"{fields}}}"#);
    vec![
        moved(""),
        moved(r#","to":7"#),
        moved(r#","to":null"#),
        moved(r##","to":"""##),
        moved(r##","to":"a key""##),
        moved(&format!(r##","to":"{to}","closes_at":"soon""##)),
        moved(&format!(r#","to":"{to}","closes_at":-1"#)),
        moved(&format!(r#","to":"{to}","closes_at":1.5"#)),
        ended(""),
        ended(&format!(r#","by":"short","cause":"elevation","at":1,"next":"{to}""#)),
        ended(&format!(r#","by":"AAAAAAAAAAA","cause":7,"at":1,"next":"{to}""#)),
        ended(&format!(r#","by":"AAAAAAAAAAA","cause":"promotion","at":1,"next":"{to}""#)),
        ended(&format!(r#","by":"AAAAAAAAAAA","cause":"elevation","at":"now","next":"{to}""#)),
        ended(r#","by":"AAAAAAAAAAA","cause":"elevation","at":1,"next":7"#),
        ended(r#","by":"AAAAAAAAAAA","cause":"elevation","at":1,"next":"""#),
    ]
}

/// An old and a new ticket of one session.
fn renewed() -> (World, String, String) {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    (w, old, new)
}

fn unreadable(w: &mut World, cookie: &str) -> Session {
    let mut session = w.open(cookie);
    assert_eq!(w.access(&mut session).err(), Some(LoadError::Undecodable));
    session
}

#[track_caller]
fn assert_not_ended(done: &Done, text: &str) {
    let error = CommitError::Undecodable(DecodeError::UnsupportedMarker);
    assert_eq!((done.result(), done.end()), (Err(error), Some(End::Failed)), "{text}");
    assert_eq!(done.cookie(), CookieChange::Keep, "{text}");
}

#[test]
fn a_damaged_marker_is_not_ended_over() {
    let (w, _, new) = renewed();
    for text in damaged(w.key(&new).as_str()) {
        let (mut w, old, new) = renewed();
        let key = w.key(&old);
        w.put_text(&key, &text, HOUR);
        let from = w.store.log.len();
        let mut session = unreadable(&mut w, &old);
        w.access(&mut session).unwrap().destroy();
        assert_not_ended(&w.commit(session), &text);
        assert!(w.store.log[from..].iter().all(|op| matches!(op, Op::Load { .. })), "{text}");
        assert_eq!(w.text(&key), text);
        assert!(w.opens(&new));
    }
}

#[test]
fn an_end_under_way_that_meets_a_damaged_marker_writes_nothing_over_it() {
    for text in damaged("elsewhere") {
        let mut w = World::new();
        let jar = w.sign_in();
        let key = w.key(&jar);
        let slow = w.slow(&jar, Loaded::destroy);
        w.put_text(&key, &text, HOUR);
        assert_not_ended(&w.commit(slow), &text);
        assert_eq!(w.text(&key), text);
    }
}

#[test]
fn a_change_that_meets_a_damaged_marker_is_an_error_and_no_loss() {
    for text in damaged("elsewhere") {
        let mut w = World::new();
        let jar = w.sign_in();
        let key = w.key(&jar);
        let slow = w.slow(&jar, add(1));
        w.put_text(&key, &text, HOUR);
        let done = w.commit(slow);
        let error = CommitError::Undecodable(DecodeError::UnsupportedMarker);
        assert_eq!((done.result(), done.cookie()), (Err(error), CookieChange::Keep), "{text}");
        assert_eq!(w.text(&key), text);
    }
}

#[test]
fn a_closing_time_of_null_is_none() {
    let (mut w, old, new) = renewed();
    let text = format!(r#"{{"format":1,"kind":"moved","to":"{}","closes_at":null}}"#, w.key(&new).as_str());
    w.put_text(&w.key(&old), &text, 8 * HOUR);
    assert_eq!(w.request(&old, add(1)).result(), Ok(()));
    assert_eq!(w.peek(&old, "n"), Some(1));
    let done = w.request(&old, Loaded::destroy);
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(!w.opens(&new) && w.live().is_empty(), "what is acknowledged holds");
}

#[test]
fn a_pointer_with_a_closing_time_of_null_closes_with_the_first_presentation() {
    let (mut w, old, new) = renewed();
    let text = format!(r#"{{"format":1,"kind":"moved","to":"{}","closes_at":null}}"#, w.key(&new).as_str());
    w.put_text(&w.key(&old), &text, 8 * HOUR);
    assert_eq!(w.request(&new, |_| ()).result(), Ok(()));
    w.pass(HOUR / 4);
    assert!(!w.opens(&old) && w.opens(&new));
}
