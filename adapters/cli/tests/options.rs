//! The options of the demo.

mod common;

use common::{Demo, RUNTIMES, refused, stdout, tool};

#[test]
fn the_passwords_come_first_then_the_url_and_then_what_will_not_last() {
    let mut demo = Demo::start();
    let [alice, bob] = &*demo.passwords else { panic!("{:?}", demo.passwords) };
    for (line, user) in [(alice, "alice"), (bob, "bob")] {
        let password = line.strip_prefix(user).and_then(|rest| rest.strip_prefix(": ")).unwrap();
        assert_eq!(password.len(), 16);
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{line}");
    }
    assert_ne!(demo.password("alice"), demo.password("bob"));
    assert!(!demo.url.ends_with(":0"));
    let said = demo.says("stop");
    assert!(said.contains("made for this run only"), "{said}");
    assert!(said.contains("sessions end with this process"), "{said}");
    assert!(said.contains("__Host-id; Secure; HttpOnly; SameSite=Lax; Path=/"), "{said}");
}

#[test]
fn a_ticket_outlives_the_process_with_a_ring_that_does() {
    let keys = stdout(&tool(&["keygen", "--count", "2"]).output().unwrap());
    let last = keys.lines().last().unwrap();
    let mut first = Demo::with(&["--keys", "env:RING"], &[("RING", last)]);
    let mut client = first.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    assert!(!first.says("stop").contains("this run only"));

    let path = std::env::temp_dir().join(format!("cloakroom-ring-{}", std::process::id()));
    std::fs::write(&path, &keys).unwrap();
    let second = Demo::with(&["--keys", path.to_str().unwrap()], &[]);
    std::fs::remove_file(&path).unwrap();
    let mut same = second.client();
    same.cookie = client.cookie.clone();
    // The memory is another: the ticket is accepted, and nothing is there.
    assert_eq!(same.get("/api/session").expect(200, "load", "keep").json()["new"], true);

    let pair = client.cookie.unwrap();
    let output = tool(&["inspect", &pair, "--keys", "env:RING"]).env("RING", last).output().unwrap();
    assert!(stdout(&output).contains("signed by key 2, the primary"));
}

#[test]
fn the_insecure_cookie_has_another_name_and_no_secure() {
    let demo = Demo::with(&["--insecure-http"], &[]);
    let mut client = demo.client();
    let line = client.visit("GET", "/", None).set_cookie().unwrap().to_owned();
    assert!(line.starts_with("id=") && !line.contains("Secure") && line.contains("HttpOnly"), "{line}");
    assert!(client.visit("GET", "/", None).body.contains("<strong>2</strong>"));
    client.visit("POST", "/api/destroy", None).expect(200, "load,replace", "clear");
}

#[test]
fn lifetimes_are_read_with_their_units() {
    let demo = Demo::with(&["--idle", "90s", "--absolute", "2h"], &[]);
    let page = demo.client().get("/").body;
    assert!(page.contains("1m 30s after its last request, and 2h after it was made"), "{page}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let demo = Demo::start();
    let address = demo.url.trim_start_matches("http://");
    for runtime in RUNTIMES {
        let args = ["demo", "--store", "memory:", "--listen", address, "--runtime", runtime];
        let said = refused(&mut tool(&args), 2);
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    }
}

#[test]
fn where_no_keys_are_is_said_once() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    for (keys, said) in [
        ("/no/such/ring", "/no/such/ring: there is no such file".to_owned()),
        (empty, format!("{empty}: the ring is empty; `cloakroom keygen` makes an entry")),
        ("env:NO_RING", "the environment variable NO_RING: it is not set, or no text".to_owned()),
    ] {
        let mut command = tool(&["demo", "--listen", "127.0.0.1:0", "--store", "memory:", "--keys", keys]);
        assert_eq!(refused(&mut command, 2), format!("error: no keys from {said}\n"));
    }
}

#[test]
fn what_there_is_not_is_refused_by_name() {
    for (args, word) in [
        (["--store", "mongodb:"], "there is memory:, redb:PATH, redis://"),
        (["--store", "reddis://x"], "https://..; and cookie:, or cookie+URL with one of these"),
        (["--store", "cookie+reddis://x"], "http://.. or https://..\n"),
        (["--store", "redb:"], "needs the path of a file"),
        (["--store", "redb:/no/such/folder/file"], "/no/such/folder/file"),
        (["--store", "env:NO_SUCH_URL"], "NO_SUCH_URL"),
        (["--runtime", "monoio"], "async-std, smol, tokio"),
        (["--idle", "0s"], "at least one millisecond"),
        (["--idle", "soon"], "--idle"),
        (["--keys", "env:NO_SUCH_RING"], "NO_SUCH_RING"),
        (["--on-store-failure", "panic"], "refuse, serve-without"),
    ] {
        let mut command = tool(&["demo", "--listen", "127.0.0.1:0"]);
        if args[0] != "--store" {
            command.args(["--store", "memory:"]);
        }
        command.args(args);
        let said = refused(&mut command, 2);
        assert!(said.contains(word), "{said}");
    }
}
