//! Records: readable JSON, unchanged values copied as bytes, unknown fields kept, sizes and versions checked.

use cloakroom_core::{
    CommitError, CookieChange, EditError, End, Entry, Event, LoadError, Loaded, Login, Op, RequestInfo, Session, limits,
};

use crate::common::{MINUTE, World, add, has, ticket};
use serde_json::Value as Json;

const TTL: std::time::Duration = MINUTE.saturating_mul(30);

/// A session whose stored text was changed by hand.
fn edited(change: impl Fn(&str) -> String) -> (World, String) {
    let mut w = World::new();
    let jar = w.sign_in();
    let key = w.key(&jar);
    let text = change(&w.text(&key));
    w.put_text(&key, &text, TTL);
    (w, jar)
}

fn with_data(data: &str) -> (World, String) {
    edited(|text| {
        assert!(text.contains(r#""data":{"n":0}"#), "{text}");
        text.replace(r#""data":{"n":0}"#, &format!(r#""data":{data}"#))
    })
}

#[test]
fn a_record_is_a_json_object_that_others_can_read() {
    let mut w = World::with(|builder| builder.schema(3));
    let mut jar = w.sign_in();
    let old = w.key(&jar);
    w.act(&mut jar, |loaded| {
        loaded.rotate();
        loaded.insert("name", "Ada").unwrap();
    });
    let json: Json = serde_json::from_str(&w.text(&w.key(&jar))).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["kind"], "record");
    assert_eq!(json["created"], w.store.now);
    assert_eq!(json["issued"], w.store.now);
    assert_eq!(json["deadline"], w.store.now + 8 * 3_600_000);
    assert_eq!(json["idle"], 1_800_000);
    assert_eq!(json["persistent"], false);
    assert_eq!(json["commits"], 2);
    assert_eq!(json["nonces"].as_array().unwrap().len(), 2);
    assert_eq!(json["predecessor"], old.as_str());
    assert_eq!(json["schema"], 3);
    assert_eq!(json["data"], serde_json::json!({"n": 0, "name": "Ada"}));
    let pointer: Json = serde_json::from_str(&w.text(&old)).unwrap();
    assert_eq!((&pointer["format"], &pointer["kind"]), (&1.into(), &"moved".into()));
    assert_eq!(pointer["to"], w.key(&jar).as_str());
    assert!(pointer.get("data").is_none());
    let key = w.key(&jar);
    w.act(&mut jar, Loaded::destroy);
    let tombstone: Json = serde_json::from_str(&w.text(&key)).unwrap();
    assert_eq!((&tombstone["format"], &tombstone["kind"]), (&1.into(), &"ended".into()));
    assert_eq!((&tombstone["cause"], &tombstone["at"]), (&"destroy".into(), &w.store.now.into()));
    assert!(tombstone.get("data").is_none());
}

#[test]
fn a_sign_in_stands_in_its_record_and_in_no_marker() {
    let mut w = World::new();
    let mut jar = w.session_with("ada", Login::new().label("Firefox"));
    let json: Json = serde_json::from_str(&w.text(&w.key(&jar))).unwrap();
    assert_eq!((&json["principal"], &json["label"]), (&"ada".into(), &"Firefox".into()));
    assert_eq!((&json["since"], &json["authenticated"]), (&w.store.now.into(), &w.store.now.into()));
    assert_eq!(json["lineage"], json["nonces"][0], "a lineage is named for the commit that began it");
    let (since, old) = (w.store.now, w.key(&jar));
    w.pass(MINUTE);
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    let after: Json = serde_json::from_str(&w.text(&w.key(&jar))).unwrap();
    assert_eq!((&after["principal"], &after["label"]), (&"ada".into(), &"Firefox".into()));
    assert_eq!((&after["since"], &after["authenticated"]), (&since.into(), &w.store.now.into()));
    assert_eq!((&after["lineage"], &after["predecessor"]), (&json["lineage"], &old.as_str().into()));
    let tombstone: Json = serde_json::from_str(&w.text(&old)).unwrap();
    assert_eq!((&tombstone["cause"], &tombstone["next"]), (&"elevation".into(), &w.key(&jar).as_str().into()));
    assert_eq!(tombstone.get("principal"), None);

    let old = w.key(&jar);
    w.act(&mut jar, |loaded| loaded.login(&7, Login::new()).unwrap());
    let tombstone: Json = serde_json::from_str(&w.text(&old)).unwrap();
    assert_eq!((&tombstone["cause"], tombstone.get("next")), (&"login".into(), None));
    let json: Json = serde_json::from_str(&w.text(&w.key(&jar))).unwrap();
    assert_eq!((&json["principal"], json.get("label"), json.get("predecessor")), (&7.into(), None, None));
    let anonymous = w.sign_in();
    let json: Json = serde_json::from_str(&w.text(&w.key(&anonymous))).unwrap();
    let fields = ["principal", "since", "authenticated", "label"];
    assert!(fields.iter().all(|field| json.get(field).is_none()) && json.get("lineage").is_some());
}

#[test]
fn a_first_presentation_clears_what_an_elevation_left() {
    let mut w = World::new();
    let mut jar = w.session_of("ada");
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    w.ops();
    w.act(&mut jar, |_| ());
    assert_eq!(w.ops(), "load,load,replace");
    assert!(w.record(&w.key(&jar)).predecessor.is_none());
    w.act(&mut jar, |_| ());
    assert_eq!(w.ops(), "load");
}

#[test]
fn a_broken_sign_in_does_not_decode() {
    let breaks: [(&str, &str); 6] = [
        (r#""principal":"ada""#, r#""principal":null"#),
        (r#""since":"#, r#""since":-"#),
        (r#""authenticated":"#, r#""authenticated_at":"#),
        (r#""label":"Firefox""#, r#""label":7"#),
        (r#""lineage":""#, r#""lineage":"x"#),
        (r#""lineage":""#, r#""lines":""#),
    ];
    for (field, broken) in breaks {
        let mut w = World::new();
        let jar = w.session_with("ada", Login::new().label("Firefox"));
        let key = w.key(&jar);
        let text = w.text(&key);
        assert_eq!(text.matches(field).count(), 1, "{text}");
        w.put_text(&key, &text.replace(field, broken), TTL);
        unreadable(&mut w, &jar);
    }
    let mut w = World::new();
    let jar = w.session_of("ada");
    let key = w.key(&jar);
    let text = w.text(&key);
    let long = format!(r#""principal":"{}""#, "x".repeat(limits::MAX_PRINCIPAL));
    w.put_text(&key, &text.replace(r#""principal":"ada""#, &long), TTL);
    unreadable(&mut w, &jar);
}

#[test]
fn a_label_is_short_and_without_control_characters() {
    let label = |text: &str| cloakroom_core::Label::new(text).map(|label| label.as_str().to_owned());
    assert_eq!(label(" \u{1b}[31mFire\nfox\0 "), Some("[31mFirefox".to_owned()));
    for nothing in ["", "  ", "\n\t", "\u{7}"] {
        assert_eq!(label(nothing), None);
    }
    let long = "é".repeat(limits::MAX_LABEL);
    let cut = label(&long).unwrap();
    assert_eq!(cut.len(), limits::MAX_LABEL);
    assert!(long.starts_with(&cut));
    assert_eq!(label(&format!("x{long}")).unwrap().len(), limits::MAX_LABEL - 1, "no character is cut in two");
}

#[test]
fn what_is_made_of_a_label_is_the_same_label() {
    let label = |text: &str| cloakroom_core::Label::new(text).map(|label| label.as_str().to_owned());
    let cut_at_a_space = format!("{} x", "x".repeat(limits::MAX_LABEL - 1));
    for text in ["a", " a b ", "\0 a", "a \0", "\0", " \0 ", &cut_at_a_space] {
        let once = label(text);
        assert_eq!(once.as_deref().and_then(label), once, "{text:?}");
    }
}

#[test]
fn unchanged_values_are_copied_byte_by_byte() {
    let odd = r#"{ "a" : [1,  2.50e+1 ,"\u00e9\/"] ,	"b":1.0000000000000000000000001,
        "c\u0020d":{"z":1,"a":2,"z":3}, "n" : 0 }"#;
    let (mut w, jar) = with_data(odd);
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    let done = w.request(&jar, Loaded::rotate);
    assert_eq!(done.result(), Ok(()));
    let text = w.text(&w.key(&ticket(&done).unwrap()));
    for value in [r#"[1,  2.50e+1 ,"\u00e9\/"]"#, "1.0000000000000000000000001", r#"{"z":1,"a":2,"z":3}"#] {
        assert!(text.contains(value), "{value} in {text}");
    }
    w.with_peeked(&jar, |loaded| {
        assert_eq!(loaded.get("n"), Ok(Some(1)));
        assert_eq!(loaded.data().unwrap().raw("c d"), Some(r#"{"z":1,"a":2,"z":3}"#));
    });
}

#[test]
fn escaped_keys_are_the_keys_that_they_spell() {
    let (mut w, jar) = with_data(r#"{"\u006eame":"Ada","n":0,"tab\t":1,"\ud83d\ude00":2}"#);
    w.with_peeked(&jar, |loaded| {
        assert_eq!(loaded.get::<String>("name").unwrap().as_deref(), Some("Ada"));
        assert_eq!((loaded.get("tab\t"), loaded.get("😀")), (Ok(Some(1)), Ok(Some(2))));
        assert_eq!(loaded.get::<i64>("\\u006eame"), Ok(None));
    });
    let done = w.request(&jar, |loaded| loaded.insert("name", "Eve").unwrap());
    assert_eq!(done.result(), Ok(()));
    let json: Json = serde_json::from_str(&w.text(&w.key(&jar))).unwrap();
    assert_eq!(json["data"], serde_json::json!({"name": "Eve", "n": 0, "tab\t": 1, "😀": 2}));
}

#[test]
fn unknown_envelope_fields_survive_changes_and_renewals() {
    let fields = r#","new":{"of": [ 1,2 ]},"another":null}"#;
    let (mut w, jar) = edited(|text| format!("{}{fields}", text.strip_suffix('}').unwrap()));
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    let done = w.request(&jar, Loaded::rotate);
    assert_eq!(done.result(), Ok(()));
    let new = ticket(&done).unwrap();
    assert_eq!(w.request(&new, add(1)).result(), Ok(()));
    let text = w.text(&w.key(&new));
    assert!(text.contains(r#""new":{"of": [ 1,2 ]}"#) && text.contains(r#""another":null"#), "{text}");
    let pointer = w.text(&w.key(&jar));
    assert!(!pointer.contains("another"), "they are the record's");
}

/// Presents a ticket whose record cannot be read.
fn unreadable(w: &mut World, jar: &str) -> Session {
    let mut session = w.engine.open([jar.as_bytes()], &RequestInfo::new());
    assert!(matches!(w.access(&mut session), Err(LoadError::Undecodable)));
    session
}

const DAMAGE: [fn(&str) -> String; 14] = [
    |_| String::new(),
    |_| "null".to_owned(),
    |_| "{}".to_owned(),
    |_| "[]".to_owned(),
    |_| "\u{feff}{}".to_owned(),
    |text| text[..text.len() - 1].to_owned(),
    |text| format!("{text}x"),
    |text| text.replace(r#"{"n":0}"#, r#"{"n":0,"n":1}"#),
    |text| text.replace(r#"{"n":0}"#, r#"{"n":0,"\u006e":1}"#),
    |text| text.replace(r#"{"n":0}"#, "[0]"),
    |text| text.replace(r#""commits":"#, r#""commits":7,"commits":"#),
    |text| text.replace(r#""deadline":"#, r#""deadline":-"#),
    |text| text.replace(r#""format":1"#, r#""format":2"#),
    |text| text.replace(r#""kind":"record""#, r#""kind":"hologram""#),
];

#[test]
fn a_record_that_does_not_decode_is_an_error_and_never_an_absence() {
    for damage in DAMAGE {
        let (mut w, jar) = edited(damage);
        let before = w.text(&w.key(&jar));
        let mut session = unreadable(&mut w, &jar);
        let loaded = w.access(&mut session).unwrap();
        let error = EditError::Undecodable;
        assert_eq!(loaded.get::<i64>("n"), Err(error), "{before}");
        assert!(loaded.data().is_err() && loaded.whole::<std::collections::BTreeMap<String, Json>>().is_err());
        assert_eq!(loaded.insert("n", &1), Err(error));
        assert_eq!(loaded.remove("n"), Err(error));
        assert_eq!(loaded.clear(), Err(error));
        assert_eq!(loaded.update("n", |_: Option<i64>| 1), Err(error));
        let done = w.commit(session);
        assert!(has(&done, Event::Undecodable), "{before}");
        assert_eq!(done.cookie(), CookieChange::Keep);
        assert!(w.store.log[1..].iter().all(|op| matches!(op, Op::Load { .. })), "{before}");
        assert_eq!(w.text(&w.key(&jar)), before);
    }
}

#[test]
fn an_end_of_a_record_that_does_not_decode_needs_only_its_key_and_version() {
    for damage in &DAMAGE[..13] {
        let (mut w, jar) = edited(damage);
        let mut session = unreadable(&mut w, &jar);
        w.access(&mut session).unwrap().destroy();
        let done = w.commit(session);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
        assert_eq!(done.cookie().name(), "clear");
        assert!(matches!(w.entry(&w.key(&jar)), Some(Entry::Ended(_))));
    }
}

#[test]
fn a_change_that_meets_what_it_cannot_read_is_an_error_and_writes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    let key = w.key(&jar);
    w.put_text(&key, r#"{"format":2,"kind":"record"}"#, TTL);
    let done = w.commit(slow);
    assert!(matches!(done.result(), Err(CommitError::Undecodable(_))), "{:?}", done.result());
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(w.text(&key), r#"{"format":2,"kind":"record"}"#);
}

#[test]
fn a_record_that_is_too_large_is_an_error_that_names_its_size_and_limit() {
    let mut w = World::with(|builder| builder.max_record(5000));
    let fill = |len: usize| move |loaded: &mut Loaded| loaded.insert("fill", &"x".repeat(len)).unwrap();
    let done = w.request("", fill(1));
    let jar = ticket(&done).unwrap();
    let small = w.text(&w.key(&jar)).len();
    let fits = w.request("", fill(1 + 5000 - small));
    assert_eq!(fits.result(), Ok(()));
    w.ops();
    let error = Err(CommitError::RecordTooLarge { size: 5001, limit: 5000 });
    let done = w.request("", fill(2 + 5000 - small));
    assert_eq!((done.result(), done.cookie(), w.ops().as_str()), (error, CookieChange::Keep, ""));
    for rotates in [false, true] {
        let done = w.request(&jar, |loaded| {
            fill(6000)(loaded);
            if rotates {
                loaded.rotate();
            }
        });
        assert!(matches!(done.result(), Err(CommitError::RecordTooLarge { size: 6000.., limit: 5000 })));
        assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, "load"));
    }
    assert!(w.opens(&jar));
}

#[test]
fn two_changes_that_are_too_large_only_together_fail_the_later_one() {
    let mut w = World::with(|builder| builder.max_record(5000));
    let mut jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| loaded.insert("a", &"x".repeat(2500)).unwrap());
    w.act(&mut jar, |loaded| loaded.insert("b", &"x".repeat(2500)).unwrap());
    assert!(matches!(w.commit(slow).result(), Err(CommitError::RecordTooLarge { .. })));
    w.with_peeked(&jar, |loaded| assert_eq!(loaded.get::<String>("a"), Ok(None)));
}

#[test]
fn a_stored_value_beyond_the_limit_is_not_parsed_and_not_absent() {
    let (mut w, jar) = with_data(&format!(r#"{{"n":"{}"}}"#, "x".repeat(1024 * 1024)));
    let session = unreadable(&mut w, &jar);
    let done = w.commit(session);
    assert!(has(&done, Event::Undecodable));
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn deeply_nested_values_neither_overflow_nor_disturb() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (mut w, jar) = with_data(&format!(r#"{{"deep":{deep},"n":0}}"#));
    let mut session = w.open(&jar);
    match w.access(&mut session) {
        Ok(loaded) => assert_eq!(loaded.get("n"), Ok(Some(0))),
        Err(error) => assert_eq!(error, LoadError::Undecodable),
    }
    let done = w.commit(session);
    assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, "load"));
}
