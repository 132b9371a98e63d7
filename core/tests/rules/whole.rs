//! A typed whole beside what others keep in the session, and its bounds.

use std::collections::BTreeMap;

use cloakroom_core::{EditError, Json, Loaded, ReplayError, limits};

use crate::common::{World, add};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Cart {
    items: u32,
    n: i64,
}

/// Values that are JSON, and that no tree of values holds.
fn foreign() -> [Json; 2] {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    ["1e999", &deep].map(|text| Json::parse(text).unwrap())
}

fn insert_at(key: String) -> impl FnOnce(&mut Loaded) -> Result<(), EditError> {
    move |loaded| {
        loaded.update_whole(move |map: &mut BTreeMap<String, u32>| {
            map.insert(key.clone(), 1);
        })
    }
}

#[test]
fn keys_are_bounded_in_a_whole_too() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    w.act(&mut jar, |loaded| {
        let long = "k".repeat(limits::MAX_DATA_KEY + 1);
        let error = Err(EditError::Replay(ReplayError::KeyTooLong));
        assert_eq!(insert_at(long.clone())(loaded), error);
        assert_eq!(loaded.set_whole(&BTreeMap::from([(long, 1)])), error);
        assert_eq!(loaded.data().unwrap().len(), 1, "the data is as before");
        add(1)(loaded);
    });
    assert_eq!(w.peek(&jar, "n"), Some(1));
    let longest = "k".repeat(limits::MAX_DATA_KEY);
    let key = longest.clone();
    w.act(&mut jar, |loaded| insert_at(key)(loaded).unwrap());
    assert_eq!(w.peek(&jar, &longest), Some(1));
}

#[test]
fn what_others_keep_does_not_disturb_a_whole_whatever_it_is() {
    for value in foreign() {
        let mut w = World::new();
        let mut jar = w.sign_in();
        w.act(&mut jar, |loaded| loaded.insert("others", &value).unwrap());
        w.act(&mut jar, |loaded| {
            assert_eq!(loaded.whole::<Cart>(), Ok(Cart { items: 0, n: 0 }));
            loaded.update_whole(|cart: &mut Cart| cart.items += 2).unwrap();
            loaded.set_whole(&Cart { items: 3, n: 4 }).unwrap();
        });
        w.with_peeked(&jar, |loaded| {
            assert_eq!(loaded.whole::<Cart>(), Ok(Cart { items: 3, n: 4 }));
            assert_eq!(loaded.data().unwrap().raw("others"), Some(value.as_str()), "byte by byte");
        });
    }
}

#[test]
fn a_field_of_the_whole_itself_must_be_of_its_type() {
    for value in foreign() {
        let mut w = World::new();
        let mut jar = w.sign_in();
        w.act(&mut jar, |loaded| loaded.insert("items", &value).unwrap());
        w.with_peeked(&jar, |loaded| assert!(loaded.whole::<Cart>().is_err()));
    }
}
