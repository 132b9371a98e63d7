//! Sessions that open only for clients like the one that they were made for.

use std::net::IpAddr;

use cloakroom_core::{
    Binding, Codec, CookieChange, Done, End, Engine, Entry, Event, JsonCodec, Keyring, Loaded, Login, Mismatch,
    RequestInfo, Session,
};

use crate::common::{MINUTE, World, add, has, key, ring, ticket};

fn bound(binding: Binding) -> World {
    World::with(|builder| builder.bind_to(binding))
}

fn from<'a>(address: &str) -> RequestInfo<'a> {
    RequestInfo::new().address(address.parse::<IpAddr>().unwrap())
}

fn slow(w: &mut World, jar: &str, client: &RequestInfo<'_>, edit: impl FnOnce(&mut Loaded)) -> Session {
    let mut session = w.open_as(jar, client);
    edit(w.access(&mut session).unwrap());
    session
}

fn request(w: &mut World, jar: &str, client: &RequestInfo<'_>, edit: impl FnOnce(&mut Loaded)) -> Done {
    let session = slow(w, jar, client, edit);
    w.commit(session)
}

fn sign_in(w: &mut World, client: &RequestInfo<'_>) -> String {
    let done = request(w, "", client, |loaded| loaded.insert("n", &0).unwrap());
    w.ops();
    ticket(&done).unwrap()
}

fn opens(w: &mut World, jar: &str, client: &RequestInfo<'_>) -> bool {
    let mut opened = false;
    let done = request(w, jar, client, |loaded| opened = !loaded.is_new());
    assert_eq!((has(&done, Event::BindingMismatch), done.cookie()), (!opened, CookieChange::Keep));
    opened
}

#[test]
fn an_address_counts_as_far_as_its_prefix() {
    for (binding, made, same, other) in [
        (Binding::new(), "192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"][..], &["192.0.2.6", "192.0.3.7", "::1"][..]),
        (
            Binding::new(),
            "2001:db8:0:1::7",
            &["2001:db8:0:1::7", "2001:db8:0:1:ffff::1"],
            &["2001:db8:0:2::7", "2001:db8::7", "192.0.2.7"],
        ),
        (Binding::new().address_prefix(24, 48), "192.0.2.7", &["192.0.2.255"], &["192.0.3.7"]),
        (Binding::new().address_prefix(24, 48), "2001:db8:0:1::7", &["2001:db8:0:2::1"], &["2001:db8:1:1::7"]),
        (Binding::new().address_prefix(0, 0), "192.0.2.7", &["203.0.113.1"], &["2001:db8::1"]),
        (Binding::new().address_prefix(255, 255), "::1", &["::1"], &["::2"]),
    ] {
        let mut w = bound(binding);
        let jar = sign_in(&mut w, &from(made));
        for address in same {
            assert!(opens(&mut w, &jar, &from(address)), "{made} {address}");
        }
        for address in other {
            assert!(!opens(&mut w, &jar, &from(address)), "{made} {address}");
        }
        assert!(!opens(&mut w, &jar, &RequestInfo::new()), "leaving it out does not switch the check off");
    }
}

#[test]
fn what_is_not_known_is_a_value_of_its_own() {
    let mut w = bound(Binding::new());
    let jar = sign_in(&mut w, &RequestInfo::new());
    assert!(opens(&mut w, &jar, &RequestInfo::new()));
    assert!(!opens(&mut w, &jar, &from("192.0.2.7")));
}

#[test]
fn user_agent_and_bytes_count_where_they_are_asked_for() {
    let client = |agent: &'static [u8], bytes: &'static [u8]| RequestInfo::new().user_agent(agent).binding(bytes);
    for (binding, by_agent, by_bytes) in [
        (Binding::new().any_address(), false, false),
        (Binding::new().any_address().user_agent(), true, false),
        (Binding::new().any_address().bytes(), false, true),
        (Binding::new().any_address().user_agent().bytes(), true, true),
    ] {
        let mut w = bound(binding);
        let jar = sign_in(&mut w, &client(b"a", b"bc"));
        assert!(opens(&mut w, &jar, &client(b"a", b"bc")));
        assert_eq!(opens(&mut w, &jar, &client(b"b", b"bc")), !by_agent, "{binding:?}");
        assert_eq!(opens(&mut w, &jar, &client(b"a", b"")), !by_bytes, "{binding:?}");
        assert_eq!(opens(&mut w, &jar, &client(b"ab", b"c")), !by_agent && !by_bytes, "parts do not run together");
    }
}

#[test]
fn a_mismatch_leaves_the_session_to_its_own_client() {
    let mut w = bound(Binding::new());
    let (own, thief) = (from("192.0.2.7"), from("203.0.113.1"));
    let jar = sign_in(&mut w, &own);
    let done = request(&mut w, &jar, &thief, |loaded| {
        assert_eq!(loaded.get::<i64>("n"), Ok(None));
        add(5)(loaded);
    });
    let new = ticket(&done).expect("a session of its own");
    assert_ne!(new, jar);
    assert!(opens(&mut w, &jar, &own));
    assert!(!opens(&mut w, &jar, &thief));
}

#[test]
fn a_client_that_changed_its_network_can_still_sign_out_and_in() {
    let mut w = bound(Binding::new());
    let (here, there) = (from("192.0.2.7"), from("203.0.113.1"));
    let jar = sign_in(&mut w, &here);
    let done = request(&mut w, &jar, &there, Loaded::destroy);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
    assert!(w.live().is_empty());

    let jar = sign_in(&mut w, &here);
    let login = |loaded: &mut Loaded| loaded.login("alice", Login::new().carry("n")).unwrap();
    let new = ticket(&request(&mut w, &jar, &there, login)).unwrap();
    assert_eq!(w.live(), [w.key(&new)], "the old one ended");
    assert!(opens(&mut w, &new, &there) && !opens(&mut w, &new, &here));
    drop(slow(&mut w, &new, &there, |loaded| assert_eq!(loaded.get::<i64>("n"), Ok(None), "nothing is carried over")));
}

#[test]
fn on_request_a_mismatch_ends_the_session() {
    let mut w = bound(Binding::new().on_mismatch(Mismatch::RefuseAndDestroy));
    let (own, thief) = (from("192.0.2.7"), from("203.0.113.1"));
    for edits in [false, true] {
        let jar = sign_in(&mut w, &own);
        assert!(opens(&mut w, &jar, &own));
        let done = request(&mut w, &jar, &thief, |loaded| {
            if edits {
                add(1)(loaded);
            }
        });
        assert!(has(&done, Event::BindingMismatch));
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
        let gone = request(&mut w, &jar, &own, |loaded| assert!(loaded.is_new()));
        assert!(has(&gone, Event::ReusedEnded));
    }
}

#[test]
fn it_is_the_session_of_the_other_client_that_ends_whatever_comes_beside_it() {
    let mut w = bound(Binding::new().on_mismatch(Mismatch::RefuseAndDestroy));
    let (own, thief) = (from("192.0.2.7"), from("203.0.113.1"));
    let expired = sign_in(&mut w, &thief);
    let (key, record) = (w.key(&expired), w.record(&w.key(&expired)));
    w.put(&key, &Entry::Record(Box::new(record)), 40 * MINUTE);
    let stolen = sign_in(&mut w, &own);
    let done = request(&mut w, &format!("{expired}; {stolen}"), &thief, |_| ());
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(
        matches!(w.entry(&w.key(&stolen)), Some(Entry::Ended(_))) && matches!(w.entry(&key), Some(Entry::Record(_)))
    );
    // Beside a session that opens, the other one is left alone.
    let (theirs, stolen) = (sign_in(&mut w, &thief), sign_in(&mut w, &own));
    let done = request(&mut w, &format!("{stolen}; {theirs}"), &thief, add(1));
    assert_eq!((done.result(), done.end()), (Ok(()), None));
    assert!(opens(&mut w, &stolen, &own));
}

#[test]
fn a_renewal_keeps_the_binding_and_a_fresh_proof_renews_it() {
    let mut w = bound(Binding::new());
    let (here, there) = (from("192.0.2.7"), from("203.0.113.1"));
    let slow_renewal = sign_in(&mut w, &here);
    let renewed = ticket(&request(&mut w, &slow_renewal, &here, Loaded::rotate)).unwrap();
    assert!(opens(&mut w, &renewed, &here) && !opens(&mut w, &renewed, &there));

    let login = |loaded: &mut Loaded| loaded.login("alice", Login::new()).unwrap();
    let jar = ticket(&request(&mut w, "", &here, login)).unwrap();
    w.pass(MINUTE);
    let elevated = ticket(&request(&mut w, &jar, &here, |loaded| loaded.elevate().unwrap())).unwrap();
    assert!(opens(&mut w, &elevated, &here) && !opens(&mut w, &elevated, &there));
}

#[test]
fn sessions_from_before_and_keys_that_changed_places_go_on() {
    let mut w = World::new();
    let jar = w.sign_in();
    let World { store, entropy, .. } = w;
    let mut w = World { store, entropy, ..bound(Binding::new()) };
    let client = from("192.0.2.7");
    assert!(opens(&mut w, &jar, &client), "made before there was a binding");

    let jar = sign_in(&mut w, &client);
    let rotated = Keyring::new(key(2)).accept(key(1)).unwrap();
    w.engine = Engine::builder(rotated).bind_to(Binding::new()).build().unwrap();
    let mut is_open = |client| {
        let mut is_open = false;
        drop(slow(&mut w, &jar, client, |loaded| is_open = !loaded.is_new()));
        is_open
    };
    assert!(is_open(&client) && !is_open(&from("192.0.2.8")));
}

#[test]
fn a_renewal_binds_to_the_same_client_under_the_primary_key() {
    let mut w = bound(Binding::new());
    let client = from("192.0.2.7");
    let jar = sign_in(&mut w, &client);
    let engine = |ring| Engine::builder(ring).bind_to(Binding::new()).build().unwrap();
    w.engine = engine(Keyring::new(key(2)).accept(key(1)).unwrap());
    let renewed = ticket(&request(&mut w, &jar, &client, Loaded::rotate)).unwrap();
    w.engine = engine(Keyring::new(key(2)));
    assert!(opens(&mut w, &renewed, &client), "the key from before is needed no more");
    assert!(!opens(&mut w, &renewed, &from("192.0.2.8")));
}

#[test]
fn the_parts_are_set_in_any_order() {
    let destroys = Mismatch::RefuseAndDestroy;
    let one = Binding::new().any_address().user_agent().bytes().on_mismatch(destroys);
    assert_eq!(one, Binding::new().on_mismatch(destroys).bytes().user_agent().any_address());
    let one = Binding::new().address_prefix(24, 48).user_agent();
    assert_eq!(one, Binding::new().user_agent().any_address().address_prefix(24, 48));
}

#[test]
fn only_a_keyed_digest_is_stored() {
    let texts: Vec<String> = [1, 2]
        .map(|id| {
            let mut w = World::with(|_| {
                let ring = if id == 1 { ring() } else { Keyring::new(key(id)) };
                Engine::builder(ring).bind_to(Binding::new().user_agent())
            });
            let jar = sign_in(&mut w, &from("192.0.2.7").user_agent(b"Mozilla/5.0"));
            let text = w.text(&w.key(&jar));
            assert!(!text.contains("192.0.2.7") && !text.contains("Mozilla"), "{text}");
            let Entry::Record(record) = w.entry(&w.key(&jar)).unwrap() else { panic!("no record") };
            let again = JsonCodec.encode(&w.key(&jar), &Entry::Record(record.clone())).unwrap();
            assert_eq!(String::from_utf8(again).unwrap(), text);
            record.binding.unwrap().to_text()
        })
        .into();
    assert_ne!(texts[0][2..], texts[1][2..], "another key, another digest");
}
