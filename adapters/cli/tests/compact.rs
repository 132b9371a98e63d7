//! `cloakroom compact`.

mod common;

use std::fs;

use common::{Demo, refused, stdout, tool};
use rustix::process::Signal;

#[test]
fn a_file_gets_smaller_and_keeps_what_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let (file, store) = (path.to_str().unwrap(), format!("redb:{}", path.display()));
    let mut demo = Demo::with(&["--store", &store], &[]);
    let big = format!("\"{}\"", "x".repeat(500_000));
    let mut kept = demo.client();
    for _ in 0..4 {
        let mut client = demo.client();
        client.visit("PUT", "/api/session/a", Some(&big)).expect(200, "create", "set");
        client.send("POST", "/api/destroy", &[], None).expect(200, "load,replace", "clear");
    }
    kept.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");

    let said = refused(&mut tool(&["compact", file]), 2);
    assert!(said.contains(&format!("{file} is in use by")), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.contains(&format!("process {} (cloakroom)", demo.child.id())), "{said}");
    }
    // One that is closed may get smaller by itself.
    demo.signal(Signal::KILL);
    demo.end();

    let before = fs::metadata(&path).unwrap().len();
    let output = tool(&["compact", file]).output().unwrap();
    assert!(output.status.success());
    let after = fs::metadata(&path).unwrap().len();
    assert!(after < before / 4, "{before} {after}");
    let said = stdout(&output);
    let expected = format!("{file}: {before} bytes before, {after} bytes after; 0 entries had expired, 5 are left\n");
    assert_eq!(said, expected);

    let demo = Demo::with(&["--store", &store], &[]);
    assert_eq!(demo.client().presenting(&kept).session()["data"]["a"], 1);
}

#[test]
fn what_is_no_file_of_sessions_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = path.to_str().unwrap();
    assert_eq!(refused(&mut tool(&["compact", file]), 2), format!("error: there is no {file}\n"));
    assert!(!path.exists());
    fs::write(&path, "what somebody wrote").unwrap();
    let said = refused(&mut tool(&["compact", file]), 2);
    assert!(said.contains(&format!("{file} is not a store of sessions")), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "what somebody wrote");
    refused(&mut tool(&["compact", folder.path().to_str().unwrap()]), 2);
}
