//! Edits: every one is a change, and replays to what doing it again by hand gives.

use std::collections::BTreeMap;

use cloakroom_core::{CommitError, CookieChange, EditError, Json, Loaded, ReplayError, limits};

use crate::common::{MINUTE, World, add, ticket};
use serde::{Deserialize, Serialize};

type Map = BTreeMap<String, i64>;

fn contents(w: &World, jar: &str) -> Map {
    w.with_peeked(jar, |loaded| {
        loaded.data().unwrap().iter().map(|(key, raw)| (key.to_owned(), raw.parse().unwrap())).collect()
    })
}

fn map<const N: usize>(pairs: [(&str, i64); N]) -> Map {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Prefs {
    n: i64,
    m: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<i64>,
}

type NamedEdit = (&'static str, fn(&mut Loaded), &'static [(&'static str, i64)]);

/// Every mutating method, with what it makes of `{"n": 0, "x": 1}`.
const METHODS: [NamedEdit; 10] = [
    ("insert", |l| l.insert("n", &5).unwrap(), &[("n", 5), ("x", 1)]),
    ("insert of another key", |l| l.insert("y", &5).unwrap(), &[("n", 0), ("x", 1), ("y", 5)]),
    ("insert_text", |l| l.insert_text("n", Json::of(&6).unwrap()).unwrap(), &[("n", 6), ("x", 1)]),
    ("remove", |l| assert_eq!(l.remove("n"), Ok(true)), &[("x", 1)]),
    ("clear", |l| l.clear().unwrap(), &[]),
    ("update", |l| assert_eq!(l.update("n", |n: Option<i64>| n.unwrap() + 7), Ok(7)), &[("n", 7), ("x", 1)]),
    (
        "try_update",
        |l| assert_eq!(l.try_update("z", |n: Option<i64>| Ok::<_, EditError>(n.map_or(3, |n| n + 1))), Ok(3)),
        &[("n", 0), ("x", 1), ("z", 3)],
    ),
    ("update_text", |l| l.update_text("n", Box::new(|_| Json::parse("9"))).unwrap(), &[("n", 9), ("x", 1)]),
    (
        "set_whole",
        |l| l.set_whole(&Prefs { n: 0, m: 2, note: Some(4) }).unwrap(),
        &[("m", 2), ("n", 0), ("note", 4), ("x", 1)],
    ),
    ("update_whole", |l| l.update_whole(|p: &mut Prefs| p.n += 1).unwrap(), &[("n", 1), ("x", 1)]),
];

#[test]
fn every_mutating_method_is_a_change_and_survives_the_store() {
    for (name, edit, expected) in METHODS {
        let mut w = World::new();
        let mut jar = w.sign_in();
        w.act(&mut jar, |loaded| loaded.insert("x", &1).unwrap());
        w.ops();
        let mut seen = Map::new();
        let done = w.request(&jar, |loaded| {
            edit(loaded);
            seen = loaded.data().unwrap().iter().map(|(key, raw)| (key.to_owned(), raw.parse().unwrap())).collect();
        });
        assert_eq!(done.result(), Ok(()), "{name}");
        assert_eq!(w.ops(), "load,replace", "{name}");
        let expected: Map = expected.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        assert_eq!(seen, expected, "{name}: read your own writes");
        assert_eq!(contents(&w, &jar), expected, "{name}");
        let done = w.request(&jar, |_| ());
        assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load"), "{name}");
    }
}

#[test]
fn every_kind_of_value_survives_the_store() {
    let mut w = World::new();
    let values = [
        r#""a\u0000\"\\/\u2028é\ud83d\ude00""#,
        "[]",
        "{}",
        "null",
        "true",
        "1e400",
        "-0.0",
        "123456789012345678901234567890",
        r#"{"a":[{"b":null}]}"#,
    ];
    let done = w.request("", |loaded| {
        for (n, value) in values.iter().enumerate() {
            let value = Json::parse(value).unwrap();
            loaded.insert(&format!("k{n}"), &value).unwrap();
        }
        loaded.insert("", "the empty key is a key").unwrap();
        loaded.insert("é \"\\\n", &1).unwrap();
    });
    let jar = ticket(&done).unwrap();
    w.with_peeked(&jar, |loaded| {
        for (n, value) in values.iter().enumerate() {
            assert_eq!(loaded.data().unwrap().raw(&format!("k{n}")), Some(*value));
        }
        assert_eq!(loaded.get::<String>("").unwrap().as_deref(), Some("the empty key is a key"));
        assert_eq!(loaded.get("é \"\\\n"), Ok(Some(1)));
        assert_eq!(loaded.data().unwrap().len(), values.len() + 2);
    });
}

#[test]
fn two_requests_that_change_different_fields_of_a_whole_both_keep_them() {
    for by_function in [false, true] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| {
            if by_function {
                loaded.update_whole(|prefs: &mut Prefs| prefs.m += 5).unwrap();
            } else {
                let mut prefs: Prefs = loaded.whole().unwrap();
                prefs.m = 5;
                loaded.set_whole(&prefs).unwrap();
            }
        });
        let done = w.request(&jar, |loaded| {
            let mut prefs: Prefs = loaded.whole().unwrap();
            assert_eq!(prefs, Prefs::default());
            prefs.n = 3;
            prefs.note = Some(1);
            loaded.set_whole(&prefs).unwrap();
        });
        assert_eq!((done.result(), w.commit(slow).result()), (Ok(()), Ok(())));
        assert_eq!(contents(&w, &jar), map([("m", 5), ("n", 3), ("note", 1)]));
        let done = w.request(&jar, |loaded| {
            let mut prefs: Prefs = loaded.whole().unwrap();
            prefs.note = None;
            loaded.set_whole(&prefs).unwrap();
        });
        assert_eq!(done.result(), Ok(()));
        assert_eq!(contents(&w, &jar), map([("m", 5), ("n", 3)]), "a field that is gone is removed");
    }
}

#[test]
fn a_whole_that_changes_nothing_costs_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.ops();
    let done = w.request(&jar, |loaded| {
        let prefs: Prefs = loaded.whole().unwrap();
        loaded.set_whole(&prefs).unwrap();
        loaded.update_whole(|_: &mut Prefs| ()).unwrap();
    });
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load"));
}

#[test]
fn an_equal_value_in_other_text_is_an_equal_write() {
    let mut w = World::new();
    let jar = w.sign_in();
    let key = w.key(&jar);
    let text = w.text(&key).replace(r#"{"n":0}"#, r#"{ "n" : { "b" : 1.0 , "a" : [ 1, 2 ] } }"#);
    w.put_text(&key, &text, MINUTE * 30);
    let value: serde_json::Value = serde_json::from_str(r#"{"a":[1,2],"b":1.0}"#).unwrap();
    w.ops();
    let done = w.request(&jar, |loaded| loaded.insert("n", &value).unwrap());
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load"));
    assert_eq!(w.text(&key), text);
}

#[test]
fn an_update_that_refuses_on_replay_fails_the_commit_and_writes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        loaded.insert("other", &1).unwrap();
        let take = |n: Option<i64>| if n == Some(0) { Ok(-1) } else { Err(EditError::KeyTooLong) };
        assert_eq!(loaded.try_update("n", take), Ok(-1));
    });
    assert_eq!(w.request(&jar, add(5)).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Replay(ReplayError::Refused)));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(contents(&w, &jar), map([("n", 5)]));
}

#[test]
fn an_update_that_refuses_at_once_changes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.ops();
    let done = w.request(&jar, |loaded| {
        let refused = loaded.try_update("n", |_: Option<i64>| Err::<i64, _>(EditError::KeyTooLong));
        assert_eq!(refused, Err(EditError::KeyTooLong));
        assert_eq!(loaded.get("n"), Ok(Some(0)));
    });
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load"));
}

#[test]
fn a_value_of_another_type_is_an_error_at_once_and_on_replay() {
    let wrong = ReplayError::WrongType;
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        assert_eq!(loaded.get::<String>("n"), Err(EditError::Replay(wrong)));
        assert_eq!(loaded.update("n", |_: Option<String>| String::new()), Err(EditError::Replay(wrong)));
        assert_eq!(loaded.get("n"), Ok(Some(0)));
    });
    assert_eq!((done.result(), w.peek(&jar, "n")), (Ok(()), Some(0)));
    let slow = w.slow(&jar, |loaded| {
        loaded.insert("other", &1).unwrap();
        add(1)(loaded);
    });
    assert_eq!(w.request(&jar, |loaded| loaded.insert("n", "text").unwrap()).result(), Ok(()));
    assert_eq!(w.commit(slow).result(), Err(CommitError::Replay(wrong)));
    w.with_peeked(&jar, |loaded| {
        assert_eq!(loaded.get::<String>("n").unwrap().as_deref(), Some("text"));
        assert_eq!(loaded.get::<i64>("other"), Ok(None));
    });
}

#[test]
fn what_is_no_json_is_refused_and_changes_nothing() {
    let mut w = World::new();
    let done = w.request("", |loaded| {
        let no_json: BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
        assert_eq!(loaded.insert("n", &no_json), Err(EditError::Replay(ReplayError::NotJson)));
        assert_eq!(loaded.set_whole(&5), Err(EditError::Replay(ReplayError::NotJson)));
        assert!(loaded.data().unwrap().is_empty());
    });
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), ""));
}

#[test]
fn a_panic_in_a_replayed_function_writes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        loaded.insert("other", &1).unwrap();
        loaded.update("n", |n: Option<i64>| if n == Some(0) { 1 } else { panic!("on replay") }).unwrap();
    });
    assert_eq!(w.request(&jar, add(5)).result(), Ok(()));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| w.commit(slow)));
    assert!(unwound.is_err());
    assert_eq!(contents(&w, &jar), map([("n", 5)]));
}

#[test]
fn keys_and_edits_are_bounded() {
    let mut w = World::new();
    let long = "k".repeat(limits::MAX_DATA_KEY + 1);
    let done = w.request("", |loaded| {
        assert_eq!(loaded.insert(&long, &1), Err(EditError::KeyTooLong));
        assert_eq!(loaded.remove(&long), Err(EditError::KeyTooLong));
        assert_eq!(loaded.update(&long, |_: Option<i64>| 1), Err(EditError::KeyTooLong));
        loaded.insert(&long[1..], &1).unwrap();
        for n in 1..limits::MAX_EDITS {
            loaded.insert(&format!("key{n}"), &n).unwrap();
        }
        assert_eq!(loaded.insert("more", &1), Err(EditError::TooManyEdits));
        assert_eq!(loaded.get::<i64>("more"), Ok(None), "the data is as before");
        assert_eq!(loaded.update("key1", |n: Option<i64>| n.unwrap() + 1), Err(EditError::TooManyEdits));
        assert_eq!(loaded.get::<i64>("key1"), Ok(Some(1)), "the data is as before");
        loaded.insert("key1", &-1).unwrap();
        loaded.remove("key2").unwrap();
    });
    assert_eq!(done.result(), Ok(()));
    let contents = contents(&w, &ticket(&done).unwrap());
    assert_eq!((contents.len(), contents["key1"], contents.get("key2")), (limits::MAX_EDITS - 1, -1, None));
    let done = w.request("", |loaded| {
        for n in 0..10 * limits::MAX_EDITS {
            loaded.insert("n", &n).unwrap();
        }
        for round in 0..3 {
            for n in 1..limits::MAX_EDITS - 1 {
                loaded.insert(&format!("key{round}.{n}"), &n).unwrap();
            }
            loaded.clear().unwrap();
        }
        loaded.insert("n", &1).unwrap();
    });
    assert_eq!(done.result(), Ok(()), "what is overwritten does not count");
}

#[test]
fn what_was_put_in_and_taken_out_again_changes_nothing() {
    let mut w = World::new();
    let undone = |loaded: &mut Loaded| {
        loaded.insert("passing", &1).unwrap();
        assert_eq!(loaded.remove("passing"), Ok(true));
    };
    let done = w.request("", undone);
    assert_eq!((done.result(), done.cookie().name(), w.ops().as_str()), (Ok(()), "keep", ""));
    let jar = w.sign_in();
    w.ops();
    assert_eq!((w.request(&jar, undone).result(), w.ops().as_str()), (Ok(()), "load"));
}

#[test]
fn an_equal_value_is_equal_as_json_and_within_bounds() {
    let nested = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
    let long = |bytes: usize, blank: &str| format!("[{blank}\"{}\"]", "x".repeat(bytes));
    for (stored, given, is_same) in [
        (r#""A""#.to_owned(), r#""\u0041""#.to_owned(), true),
        (r#""A""#.to_owned(), r#""B""#.to_owned(), false),
        (r#"[1, "b"]"#.to_owned(), r#"[1,"b"]"#.to_owned(), true),
        ("[1, 2]".to_owned(), "[1]".to_owned(), false),
        ("[1]".to_owned(), "[1, 2]".to_owned(), false),
        ("[1, 2]".to_owned(), "[1, 3]".to_owned(), false),
        (r#"{"a":1,"b":2}"#.to_owned(), r#"{"b":2,"a":1}"#.to_owned(), true),
        (r#"{"a":1}"#.to_owned(), r#"{"b":1}"#.to_owned(), false),
        (r#"{"a":1}"#.to_owned(), r#"{"a":2}"#.to_owned(), false),
        ("1".to_owned(), "1.0".to_owned(), false),
        (nested(31, r#""A""#), nested(31, r#""\u0041""#), true),
        (nested(32, r#""A""#), nested(32, r#""\u0041""#), false),
        (long(15_000, ""), long(15_000, " "), true),
        (long(17_000, ""), long(17_000, " "), false),
    ] {
        let mut w = World::new();
        let jar = w.sign_in();
        let insert = |text: &str| {
            let value = Json::parse(text).unwrap();
            move |loaded: &mut Loaded| loaded.insert("value", &value).unwrap()
        };
        assert_eq!(w.request(&jar, insert(&stored)).result(), Ok(()));
        w.ops();
        assert_eq!(w.request(&jar, insert(&given)).result(), Ok(()));
        let what = stored.get(..40).unwrap_or(&stored);
        assert_eq!(w.ops(), if is_same { "load" } else { "load,replace" }, "{what}");
    }
}
