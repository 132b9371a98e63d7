//! A client in another language, with its standard library alone.

use std::{
    path::Path,
    process::{Command, Output},
};

use cloakroom_tests::servers::{Service, ServiceOptions};

tests! {
    a_client_in_python_does_every_operation,
    a_client_in_python_tells_a_refusal_from_an_absence,
    a_client_in_python_without_a_url_says_how_it_is_used,
}

const TOKEN: &str = "one-0123456789.abcdef";

fn client() -> Command {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/cli/examples/sessions.py");
    // No folder of bytecode is left behind, and nothing but the standard library is there.
    let mut command = Command::new("python3");
    command.args(["-I", "-B"]).arg(client);
    command
}

fn python(service: &Service, token: &str) -> Output {
    client().arg(service.url()).env("CLOAKROOM_HTTP_TOKEN", token).output().unwrap()
}

fn a_client_in_python_does_every_operation() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let output = python(&service, TOKEN);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "created",
            "created again: exists",
            "loaded: {\"visits\": 1}",
            "replaced",
            "replaced a stale version: conflict with {\"visits\": 2}",
            "touched",
            "listed: 1 of 1",
            "removed",
            "removed again: absent",
        ]
    );
    let right = [("authorization", &*format!("Bearer {TOKEN}"))];
    let counted = service.send("GET", "/metrics", &right, b"");
    for (operation, outcome) in [
        ("create", "done"),
        ("create", "exists"),
        ("load", "found"),
        ("replace", "done"),
        ("replace", "conflict"),
        ("touch", "done"),
        ("enroll", "done"),
        ("list", "listed"),
        ("unenroll", "done"),
        ("remove", "done"),
        ("remove", "absent"),
    ] {
        let line = format!("cloakroom_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}} 1\n");
        assert!(counted.text().contains(&line), "{line}: {}", counted.text());
    }
}

fn a_client_in_python_tells_a_refusal_from_an_absence() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let output = python(&service, "another-0123456789");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Failed: 401 unauthorized"), "{said}");
}

fn a_client_in_python_without_a_url_says_how_it_is_used() {
    let output = client().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("usage: sessions.py URL") && said.lines().count() == 1, "{said}");
}
